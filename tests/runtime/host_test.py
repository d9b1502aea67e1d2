"""What is set before JAX starts, seen from a process that sets it."""

import os
import subprocess
import sys

import pytest

from cyclegan_jax.runtime import host


def count_faults(**variables):
  """Page faults of a block of 64 MiB, freed and taken again."""
  code = (
    'from cyclegan_jax.runtime import host; host.tune()\n'
    'import numpy as np, resource\n'
    'count = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n'
    'def take(): np.empty(2**26, np.uint8).fill(1)\n'
    'take(); before = count(); take(); print(count() - before)\n'
  )
  result = subprocess.run(
    [sys.executable, '-c', code],
    env=os.environ | {'PYTHONPATH': os.getcwd()} | variables,
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  return int(result.stdout)


@pytest.mark.skipif(sys.platform != 'linux', reason='glibc')
def test_freed_blocks_are_used_again_by_processors_alone(tmp_path):
  (tmp_path / 'jax_plugins').mkdir()  # as jax for a GPU brings it
  paths = f'{os.getcwd()}{os.pathsep}{tmp_path}'
  faults = count_faults(JAX_PLATFORMS='cpu', PYTHONPATH=paths)
  assert faults < 16  # 16,384 small pages otherwise, or 32 huge ones
  assert count_faults(JAX_PLATFORMS='', PYTHONPATH=paths) >= 32


def test_memory_of_this_machine_is_plausible():
  assert 2**28 < host.memory() < 2**50
