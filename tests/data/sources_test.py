"""What a run learns from: volumes of people, or simulated ones."""

import numpy as np
import pytest

from cyclegan_jax import errors
from cyclegan_jax.data import phantom
from cyclegan_jax.data import sources
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import patients
from cyclegan_jax.mri import scans


@pytest.fixture
def chosen(tmp_path, make_head, save_nifti):
  """T1 and T2 of two people to train on, and of one to test on."""
  for number, person in enumerate(('anna', 'bert', 'carl')):
    head = make_head((20, 24, 10), seed=number)
    save_nifti(tmp_path / person / 'T1.nii.gz', head)
    save_nifti(tmp_path / person / 'T2.nii.gz', (head > 0) * (1200 - head))
  return {
    f'{role}_{domain}': str(tmp_path / people / f'{name}.nii.gz')
    for role, people in (('train', '[ab]*'), ('test', 'carl'))
    for domain, name in (('a', 'T1'), ('b', 'T2'))
  }


def open_data(chosen, cache, simulated=False):
  return sources.open_data(
    chosen,
    dict.fromkeys(sources.NAMES, framing.SliceSettings(size=32)),
    cache=cache,
    min_foreground=0.02,
    slice_range=(0.0, 1.0),
    simulated=simulated,
  )


def test_volumes_are_trained_on_and_paired_by_patient(chosen, tmp_path, capsys):
  data = open_data(chosen, tmp_path / 'cache')
  assert data.train['a'].patients == {'anna', 'bert'}
  told = capsys.readouterr().out
  assert 'patients anna, bert in both training domains' in told
  names = [[s.name for s in data.pairs[d].slices] for d in 'ab']
  assert names[0] == names[1] and 6 <= len(names[0]) < 10  # ends are blank
  # Cropped about the same middle, whatever each contrast shows of the head.
  a, b = (np.stack([data.pairs[d].load(row) for row in range(6)]) for d in 'ab')
  inside = (a > -0.9) & (b > -0.9)
  assert np.corrcoef(a[inside], b[inside])[0, 1] < -0.9


def test_nobody_is_both_trained_on_and_scored(chosen, tmp_path):
  chosen['test_a'] = str(tmp_path / '*' / 'T1.nii.gz')
  message = 'patients anna, bert in both data.train_a and data.test_a'
  with pytest.raises(errors.UserError, match=message):
    open_data(chosen, tmp_path / 'cache')
  open_data(chosen, tmp_path / 'cache', simulated=True)  # who are nobody


def test_one_set_of_scans_is_not_two_contrasts(chosen, tmp_path):
  """Named twice, or copied and renamed."""
  train = {name: chosen[name] for name in ('train_a', 'train_b')}
  copies = tmp_path / 'copies'
  copies.mkdir()
  for name, person in (('4', 'bert'), ('5', 'anna')):
    content = (tmp_path / person / 'T1.nii.gz').read_bytes()
    (copies / f'{name}.nii.gz').write_bytes(content)
  for second in (train['train_a'], str(copies)):
    with pytest.raises(errors.UserError, match='the same scans, such as .*T1'):
      open_data(train | {'train_b': second}, tmp_path / 'cache')
  (copies / '4.nii.gz').write_bytes(
    (tmp_path / 'carl' / 'T1.nii.gz').read_bytes()
  )
  open_data(train | {'train_b': str(copies)}, tmp_path / 'cache')


def test_without_test_sources_there_are_no_pairs(chosen, tmp_path):
  train = {name: chosen[name] for name in ('train_a', 'train_b')}
  assert open_data(train, tmp_path / 'cache').pairs is None


def test_a_checkpoint_can_tell_whom_it_knows(chosen, tmp_path):
  data = open_data(chosen, tmp_path / 'cache')
  found = scans.find_scans(tmp_path / '*' / 'T2.nii.gz')
  assert patients.find_known(found, data.patients) == ['anna', 'bert']


def test_domains_are_told_apart_and_found_again(chosen, tmp_path):
  first, again = (
    open_data(chosen, tmp_path / name).fingerprints() for name in 'xy'
  )
  assert first == again and first['a'] != first['b']
  known = open_data(chosen, tmp_path / 'x').intensities()
  assert set(known) == {'a', 'b'} and len(known['a'].quantiles) == 101


def test_simulated_heads_are_made_once_for_each_size_and_seed(tmp_path, capsys):
  def make(**changes):
    sizes = dict(people=1, test_people=1, slices=1) | changes
    return sources.make_phantom(
      tmp_path, image_size=32, seed=0, sequences=phantom.DEFAULTS, **sizes
    )

  first = make()
  assert set(first) == set(sources.NAMES)
  assert 'not real patients' in capsys.readouterr().out
  before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.png')}
  assert len(before) == 4 and make() == first
  assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*.png')} == before
  other = make(slices=2)
  assert not set(other.values()) & set(first.values())
