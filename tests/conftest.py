"""Four virtual devices, strict arrays, and programs compiled once, quickly."""

import os

# Before JAX starts its backend. Level 1 compiles a tiny network's state and
# step in half the time (3.7 against 9.6 s); the tests hardly run them.
_QUICK = '--xla_backend_optimization_level=1'
os.environ['XLA_FLAGS'] = f'--xla_force_host_platform_device_count=4 {_QUICK}'
os.environ['JAX_PLATFORMS'] = 'cpu'

import jax
import numpy as np
from PIL import Image
import pytest

jax.config.update('jax_numpy_rank_promotion', 'raise')


@pytest.fixture(scope='session', autouse=True)
def compilation_cache(tmp_path_factory):
  """Runs that compile the same program, also in a subprocess, do it once."""
  folder = str(tmp_path_factory.mktemp('compiled'))
  os.environ['JAX_COMPILATION_CACHE_DIR'] = folder
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
  jax.config.update('jax_compilation_cache_dir', folder)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


@pytest.fixture(scope='session')
def slice_folders(tmp_path_factory):
  """Folders of smooth random slices: train_a, train_b, and pairs to test on."""
  root = tmp_path_factory.mktemp('slices')
  rng = np.random.default_rng(0)
  for name, count in dict(train_a=7, train_b=5, test_a=2, test_b=2).items():
    (root / name).mkdir()
    for i in range(count):
      coarse = Image.fromarray(rng.integers(30, 255, (4, 4), np.uint8))
      coarse.resize((32, 32), Image.BICUBIC).save(
        root / name / f'person{i // 2}_z{i:03d}.png'
      )
  return root


@pytest.fixture(scope='session')
def environment():
  """Environment variables of a subprocess with so many virtual devices."""

  def make(devices=1, **changes):
    flags = f'--xla_force_host_platform_device_count={devices} {_QUICK}'
    return os.environ | {'XLA_FLAGS': flags} | changes

  return make
