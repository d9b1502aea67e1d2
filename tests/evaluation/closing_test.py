"""Held-out patients at the end of a run, beside the references."""

import pathlib

import numpy as np
import pytest

from cyclegan_jax.data import records
from cyclegan_jax.data import slices
from cyclegan_jax.evaluation import closing
from cyclegan_jax.mri import volume as volume_lib


@pytest.fixture(scope='module')
def pairs(tmp_path_factory, make_head):
  """Three patients of 20 slices of 3 mm, b made from a."""
  root = tmp_path_factory.mktemp('pairs')
  affine = volume_lib.display_affine('axial', (3.0, 1.0, 1.0))
  grid = (20, 32, 32, *affine.ravel().tolist())
  images = {'a': [], 'b': []}
  for seed in range(3):
    head = make_head((20, 32, 32), seed=seed) / 1000
    images['a'].append(head.clip(0, 1))
    images['b'].append((head > 0) * (1 - head.clip(0, 1)))
  found = {}
  for domain, stacks in images.items():
    path = pathlib.Path(root, f'{domain}.f32')
    path.write_bytes((2 * np.concatenate(stacks) - 1).astype('f4').tobytes())
    found[domain] = slices.SliceSet(
      source=domain,
      size=32,
      slices=tuple(
        slices.Slice(
          name=f'{name}/scan axial {i:03d}',
          scan=f'{name}/scan',
          patient=name,
          head=0.3,
          position=(i + 0.5) / 20,
          plane='axial',
          path=path,
          row=20 * number + i,
        )
        for number, name in enumerate(('anna', 'bert', 'carl'))
        for i in range(20)
      ),
      scans={
        f'{name}/scan': records.Decoded(grid=grid)
        for name in ('anna', 'bert', 'carl')
      },
      content='x',
    )
  return found


def invert(batch):
  """Nearly what makes b of a here, but for the air; and a of b."""
  return {'fake_b': -0.8 * batch['a'], 'fake_a': -0.8 * batch['b']}


def test_held_out_patients_are_scored_beside_the_references(pairs):
  told = []
  quantiles = {domain: np.linspace(-1, 1, 17) for domain in 'ab'}
  found, examples = closing.score(
    pairs, invert, quantiles, lambda *done: told.append(done)
  )
  assert told == [(1, 3), (2, 3), (3, 3)]
  scored = {
    (each['patient'], each['method']): each
    for each in found
    if (each['direction'], each['region']) == ('ab', 'head')
  }
  assert {patient for patient, _ in scored} == {'anna', 'bert', 'carl'}
  for patient in ('anna', 'bert', 'carl'):
    made, left = scored[patient, 'translation'], scored[patient, 'untranslated']
    assert 8 < made['slices'] <= 16  # of 20, spread; those that show a head
    assert made['psnr'] > left['psnr'] + 5
  assert len(examples['ab']) == len(examples['ba']) == 3
  rows = {each.row for each in examples['ab']}
  assert rows <= set(range(8, 13))  # near the middle of 20, by their own number
  extremes = closing.find_extremes(found)
  scores = {p: scored[p, 'translation']['psnr'] for p, _ in scored}
  assert extremes == [max(scores, key=scores.get), min(scores, key=scores.get)]


def test_a_patient_is_a_volume_again(pairs):
  case, plane = closing.make_volume(pairs, 'bert', invert, pixel=1.5)
  assert plane == 'axial' and case.spacing == (3.0, 1.5, 1.5)
  assert case.images['a'].shape == (20, 32, 32)
  expected = np.stack([pairs['b'].load(20 + i) for i in range(20)])[..., 0]
  np.testing.assert_allclose(case.images['b'], (expected + 1) / 2)
  np.testing.assert_allclose(
    case.images['fake_b'], 0.9 - 0.8 * case.images['a'], atol=1e-6
  )
