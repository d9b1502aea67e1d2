"""Cases to score, made by generators whose results are known."""

import dataclasses

import numpy as np
from PIL import Image
import pytest
from scipy import ndimage

from cyclegan_jax.evaluation import cases
from cyclegan_jax.inference import translation
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import scans

_WHITE = intensity.Intensities(intensity.scale_to_white(255), (0.0, 1.0), True)


def make_translators(**generators):
  """Of both directions: identities, unless told otherwise."""
  settings = framing.SliceSettings(size=32, intensity='minmax')
  return {
    direction: translation.Translator(
      generate=generators.get(direction, lambda images: images),
      direction=direction,
      domains=('T1w', 'T2w'),
      multiple=8,
      settings=(settings, settings),
      intensities=(_WHITE, _WHITE),
      step=0,
      run='none',
      network='none',
    )
    for direction in ('ab', 'ba')
  }


def halve(images):
  """Half as bright in [0, 1]."""
  return (images - 1) / 2


@pytest.fixture
def load(tmp_path, save_nifti):
  """A case of volumes by domain, each of (voxels, affine)."""

  def load_(translators, volumes, **changes):
    found = {}
    for domain, (voxels, affine) in volumes.items():
      path = tmp_path / domain / 'anna' / 'scan.nii'
      save_nifti(path, voxels, affine)
      (found[domain],) = scans.find_scans(tmp_path / domain)
    fields = dict(batch_size=3, volume=None) | changes
    return cases.load_volumes(found, translators, **fields)

  return load_


def test_a_pair_is_scaled_translated_and_looked_at_along_a_plane(
  load, make_head
):
  head = make_head((20, 24, 9))
  other = (head > 0) * (1200 - head)
  affine = np.diag([1.5, 1.0, 4.0, 1.0])
  counts = []
  case = load(
    make_translators(ab=halve),
    {'a': (head, affine), 'b': (other, affine)},
    report=lambda done, total: counts.append((done, total)),
  )
  assert (case.name, case.patient) == ('anna/scan', 'anna') and not case.notes
  assert set(case.images) == {'a', 'b', 'fake_b', 'fake_a'}
  expected = head.transpose(2, 1, 0)[:, ::-1, ::-1] / head.max()
  np.testing.assert_allclose(case.images['a'], expected, atol=1e-5)
  # A scan is bicubically resampled on its way: inside, where it is smooth.
  inside = ndimage.binary_erosion(case.masks['a'], iterations=3)
  np.testing.assert_allclose(
    case.images['fake_b'][inside], expected[inside] / 2, atol=0.1
  )
  assert case.images['fake_a'][inside] == pytest.approx(
    case.images['b'][inside], abs=0.1
  )
  assert case.spacing == pytest.approx((4, 1, 1.5))
  # Two translations of nine slices, told as one way that leads forward.
  assert counts[-1] == (18, 18)
  assert [done for done, _ in counts] == sorted(done for done, _ in counts)
  np.testing.assert_array_equal(
    case.masks['both'], case.masks['a'] | case.masks['b']
  )
  assert 0 < case.masks['a'].mean() < 0.6


def test_a_scan_alone_goes_there_and_back(load, make_head):
  head = make_head((24, 24, 8))
  translators = make_translators(ba=halve)
  case = load(translators, {'b': (head, np.eye(4))}, cycle=True)
  assert set(case.images) == {'b', 'fake_a', 'cycled_b'}
  assert set(case.masks) == {'b', 'both'}
  mask = case.masks['b']
  np.testing.assert_allclose(
    case.images['fake_a'][mask], case.images['b'][mask] / 2, atol=1e-5
  )
  np.testing.assert_allclose(  # back by the identity
    case.images['cycled_b'][mask], case.images['fake_a'][mask], atol=1e-5
  )


def test_a_pair_on_different_grids_is_resampled_with_a_note(load, make_head):
  head = make_head((24, 28, 20))
  smooth = ndimage.gaussian_filter(head, 1.5)
  coarse = smooth.reshape(24, 28, 10, 2).mean(axis=3)
  affine = np.diag([1.0, 1, 2, 1])
  affine[2, 3] = 0.5
  case = load(
    make_translators(), {'a': (smooth, np.eye(4)), 'b': (coarse, affine)}
  )
  (note,) = case.notes
  assert 'b/anna/scan.nii lies on another grid than' in note
  assert case.images['b'].shape == case.images['a'].shape == (20, 28, 24)
  inner = np.s_[2:-2]
  np.testing.assert_allclose(
    case.images['b'][inner], case.images['a'][inner], atol=0.06
  )
  assert not cases.check_offset(case)


def test_a_scan_is_not_held_against_itself_without_a_word(load, make_head):
  head, other = (make_head((24, 24, 8), seed) for seed in (0, 1))
  notes = [
    cases.check_apart(
      load(make_translators(), {'a': (head, np.eye(4)), 'b': (b, np.eye(4))})
    )
    for b in (head, other)
  ]
  assert 'scans of anna/scan are the same, which is likely a' in notes[0][0]
  assert len(notes[0]) == 1 and not notes[1]


def test_a_volume_of_several_is_chosen(load, make_head):
  both = np.stack([make_head((24, 24, 8), seed) for seed in (0, 1)], axis=3)
  chosen, alone = (
    load(make_translators(), {'a': (voxels, np.eye(4))}, volume=index)
    for voxels, index in ((both, 1), (both[..., 1], None))
  )
  np.testing.assert_array_equal(chosen.images['a'], alone.images['a'])


def save_pictures(root, stack):
  (root / 'anna').mkdir(parents=True)
  for number, image in enumerate(stack):
    pixels = np.uint8(np.rint(255 * image))
    Image.fromarray(pixels).save(root / 'anna' / f'{number}.png')
  return scans.find_scans(root)


@pytest.fixture
def stack(make_head):
  head = make_head((9, 32, 32))[2:7] / 1200
  return np.clip(head, 0, 1)


def test_pictures_are_translated_in_batches_of_one_size(tmp_path, stack):
  shapes = []

  def note(images):
    shapes.append(images.shape)
    return halve(images)

  counts = []
  case = cases.load_pictures(
    {'a': save_pictures(tmp_path, stack)},
    make_translators(ab=note),
    batch_size=2,
    cycle=True,
    report=lambda done, total: counts.append((done, total)),
  )
  assert shapes == [(2, 32, 32, 1)] * 3  # the last one filled up
  assert counts == [(0, 5), (2, 5), (4, 5), (5, 5)]
  assert case.name == case.patient == 'anna' and case.spacing is None
  np.testing.assert_allclose(case.images['a'], stack, atol=0.5 / 255 + 1e-6)
  for stage in ('fake_b', 'cycled_a'):
    np.testing.assert_allclose(
      case.images[stage], case.images['a'] / 2, atol=1e-6
    )


@pytest.mark.parametrize('shift', [0, 4])
def test_shifted_pictures_are_told_and_aligned_ones_not(tmp_path, stack, shift):
  other = (stack > 0) * (1 - stack)
  other = ndimage.shift(other, (0, 0, shift), order=1).clip(0, 1)
  case = cases.load_pictures(
    {
      'a': save_pictures(tmp_path / 'a', stack),
      'b': save_pictures(tmp_path / 'b', other),
    },
    make_translators(),
    batch_size=4,
  )
  notes = cases.check_offset(case)
  assert len(notes) == bool(shift)
  for note in notes:
    assert note.startswith('the second scan of anna is shifted by ')
    told = float(note.split('shifted by ')[1].split(' pixels')[0])
    assert told == pytest.approx(shift, abs=1)


def test_scans_that_cannot_be_compared_are_told(tmp_path, stack):
  case = cases.load_pictures(
    dict.fromkeys('ab', save_pictures(tmp_path, stack)),
    make_translators(),
    batch_size=4,
  )
  images = case.images | {'b': np.zeros_like(stack)}
  (note,) = cases.check_offset(dataclasses.replace(case, images=images))
  assert note.startswith('whether the scans of anna are aligned: ')


def test_a_head_is_where_either_scan_shows_it(tmp_path, stack):
  left, right = stack.copy(), stack.copy()
  left[:, :, 20:], right[:, :, :12] = 0, 0
  case = cases.load_pictures(
    {
      'a': save_pictures(tmp_path / 'a', left),
      'b': save_pictures(tmp_path / 'b', right),
    },
    make_translators(),
    batch_size=4,
  )
  a, b, both = (case.masks[name] for name in ('a', 'b', 'both'))
  assert a[2].any() and not a[:, :, 21:].any() and not b[:, :, :11].any()
  np.testing.assert_array_equal(both, a | b)
