"""Held-out pairs: which slices are scored."""

import hashlib
import json
import pathlib

import numpy as np

from configs import smoke
from cyclegan_jax import build
from cyclegan_jax.mri import patients
from cyclegan_jax.mri.formats import dispatch


def save_slices(root, blank):
  """Arrays [32, 32] of three numbers; those in `blank` show nothing."""
  root.mkdir()
  for number in range(3):
    pixels = np.zeros((32, 32), np.float32)
    if number not in blank:
      pixels[8:24, 8:24] = np.arange(256).reshape(16, 16) + 50 * number
    np.save(root / f'p{root.name}_{number}.npy', pixels)


def test_a_blank_array_of_a_pair_is_no_trouble(tmp_path):
  """Whichever of the two scans is blank, the pair is not scored."""
  config = smoke.get_config()
  config.data.cache = str(tmp_path / 'cache')
  for name in ('train_a', 'train_b'):
    save_slices(tmp_path / name, ())
    config.data[name] = str(tmp_path / name)
  for name, blank in dict(a={0}, b={2}).items():
    (tmp_path / f'test_{name}').mkdir()
    save_slices(tmp_path / f'test_{name}' / 'carl', blank)
    config.data[f'test_{name}'] = str(tmp_path / f'test_{name}')
  pairs = build.open_data(config).pairs
  for domain in 'ab':
    (only,) = pairs[domain].slices
    assert only.name.startswith('carl/pcarl_1 ')


def scan_of(patient):
  return dispatch.Scan(
    'T1', patient, (pathlib.Path(f'/x/{patient}/T1.nii'),), 'nifti'
  )


def test_marks_of_people_are_salted_and_recognised():
  anna, bert = scan_of('anna'), scan_of('bert')
  first, second = (patients.mark([anna]) for _ in range(2))
  assert not set(first['marks']) & set(second['marks'])
  stored = json.dumps(first)
  assert 'anna' not in stored
  assert hashlib.sha256(repr(('anna',)).encode()).hexdigest()[:16] not in stored
  known = patients.find_known([bert, anna], json.loads(stored))
  assert known == ['anna']


def test_unsalted_marks_of_older_checkpoints_are_recognised():
  marks = [hashlib.sha256(repr(('anna',)).encode()).hexdigest()[:16]]
  found = [scan_of('anna'), scan_of('bert')]
  known = {'salt': None, 'marks': marks}
  assert patients.find_known(found, known) == ['anna']
  assert not patients.find_known(found, {'salt': None, 'marks': []})
