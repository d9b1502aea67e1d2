"""What is set before JAX starts, seen from a process that starts it."""

import os
import subprocess
import sys

import pytest

from cyclegan_jax.runtime import host


def run(code, flags=''):
  result = subprocess.run(
    [sys.executable, '-c', code],
    env=os.environ | {'XLA_FLAGS': flags, 'PYTHONPATH': os.getcwd()},
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  return result.stdout.split()


_SHOW = 'from cyclegan_jax.runtime import host; import os; host.tune(); '


def test_a_setting_of_the_user_wins():
  chosen = '--xla_cpu_enable_concurrency_optimized_scheduler=true'
  flags = run(f'{_SHOW} print(os.environ["XLA_FLAGS"])', chosen)
  assert chosen in flags
  assert chosen.replace('true', 'false') not in flags
  assert any('ynn_fusion_type' in flag for flag in flags)


@pytest.mark.skipif(sys.platform != 'linux', reason='glibc')
def test_freed_blocks_are_used_again():
  """A block of 64 MiB, freed and taken again, costs no page faults."""
  code = (
    f'{_SHOW} import numpy as np, resource\n'
    'count = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n'
    'def take(): np.empty(2**26, np.uint8).fill(1)\n'
    'take(); before = count(); take(); print(count() - before)\n'
  )
  assert int(run(code)[0]) < 100  # 16,384 of them otherwise


def test_memory_of_this_machine_is_plausible():
  assert 2**28 < host.memory() < 2**50
