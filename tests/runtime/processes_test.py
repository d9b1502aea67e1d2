"""Several processes on this machine: they do what one does, or end together."""

import contextlib
import pathlib
import re
import signal
import socket
import subprocess
import sys

import chex
import jax
import numpy as np
import pytest
import several

from cyclegan_jax import errors
from cyclegan_jax.runtime import processes

_ROOT = pathlib.Path(__file__).parents[2]
_WORKER = str(pathlib.Path(several.__file__))
# Exchanges numbers with the others until one of them has ended.
_EXCHANGE = """
import sys
import numpy as np
from jax.experimental import multihost_utils
from cyclegan_jax import command_line, errors
from cyclegan_jax.runtime import processes
try:
  with processes.join(sys.argv[1]):
    processes.meet('start')
    multihost_utils.process_allgather(np.ones(3))
    print('going', file=sys.stderr, flush=True)
    while True:
      multihost_utils.process_allgather(np.ones(3))
except errors.PeerLost as error:
  command_line.end(error, status=1)
"""


def free_port():
  with socket.socket() as probe:
    probe.bind(('', 0))
    return probe.getsockname()[1]


@contextlib.contextmanager
def started(environment, *commands):
  """One subprocess a command; none outlives the test."""
  running = [
    subprocess.Popen(
      [sys.executable, *command],
      cwd=_ROOT,
      env=environment | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(_ROOT)},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for command in commands
  ]
  try:
    yield running
  finally:
    for process in running:
      process.kill()
      process.communicate()


def test_two_processes_of_two_devices_equal_one_of_four(environment, tmp_path):
  """Parameters, pools, averages and metrics, with dropout; both kinds.

  And halfway each goes on with what the other has saved.
  """
  assert jax.local_device_count() == 4
  place = f'localhost:{free_port()},2'
  commands = [
    (_WORKER, f'{place},{index}', str(tmp_path)) for index in range(2)
  ]
  several.save(tmp_path / 'of-one', several.go('pmap', last=several.HALF)[0], 5)
  with started(environment(2), *commands) as running:
    expected = {kind: several.go(kind) for kind in ('pmap', 'shard_map')}
    for process in running:
      _, said = process.communicate(timeout=240)
      assert process.returncode == 0, said
  stored = [np.load(tmp_path / f'{index}.npz') for index in range(2)]
  for name in stored[0].files:
    np.testing.assert_array_equal(stored[0][name], stored[1][name])
  expected['resumed'] = expected['pmap']
  for kind, wanted in expected.items():
    for index, leaf in enumerate(jax.tree.leaves(wanted)):
      found = stored[0][f'{kind}_{index:03}']
      np.testing.assert_allclose(found, leaf, atol=2e-6, err_msg=str(index))
  for name in stored[0].files:
    if name.startswith('shard_map'):
      same = stored[0][name.replace('shard_map', 'pmap')]
      np.testing.assert_array_equal(stored[0][name], same)
  state = several.restore(tmp_path / 'of-two')
  resumed = several.go('pmap', state, first=several.HALF)
  chex.assert_trees_all_close(
    jax.tree.leaves(jax.device_get(resumed)),
    jax.tree.leaves(jax.device_get(expected['pmap'])),
    atol=2e-6,
  )


def test_who_loses_another_ends_at_once_with_a_line(environment):
  place = f'localhost:{free_port()},2'
  commands = [('-c', _EXCHANGE, f'{place},{index}') for index in range(2)]
  with started(environment(1), *commands) as (first, second):
    for process in (first, second):
      assert 'going' in iter(process.stderr.readline, '').__next__()
    second.send_signal(signal.SIGKILL)
    _, said = first.communicate(timeout=60)
  assert first.returncode == 1
  (line,) = said.splitlines()
  assert line.startswith('cyclegan-jax: another process of this run has ended')


def test_a_port_that_is_taken_is_named():
  with socket.socket() as other:
    other.bind(('', 0))
    other.listen()
    port = other.getsockname()[1]
    with (
      pytest.raises(errors.UserError, match=f'port {port}, .* in use; name'),
      processes.join(f'localhost:{port},2,0'),
    ):
      pass


def test_processes_that_do_not_come_are_told(environment):
  code = (
    'import sys\n'
    'from cyclegan_jax.runtime import processes\n'
    'processes._START_SECONDS = 1\n'
    'with processes.join(sys.argv[1]): pass\n'
  )
  spec = f'localhost:{free_port()},2,1'
  with started(environment(1), ('-c', code, spec)) as (alone,):
    _, said = alone.communicate(timeout=60)
  assert alone.returncode == 1
  assert re.fullmatch(
    r'cyclegan-jax: .* did not come together within 1 s; .*\n', said
  )


def test_a_process_alone_has_nobody_to_ask():
  with processes.join('off'):
    assert processes.is_first()
    assert processes.tell_facts({'x': 1}) == {'x': 1}
    assert processes.in_turn(lambda: 3, 'anything') == 3
    processes.check_same({'anything': 1})
    assert processes.count_hosts() == 1
