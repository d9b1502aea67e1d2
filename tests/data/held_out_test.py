"""Held-out pairs: which slices are scored."""

import numpy as np

from configs import smoke
from cyclegan_jax import build


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
