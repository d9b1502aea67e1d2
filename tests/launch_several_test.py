"""The command line in two processes: stopped together, gone on with by one."""

import json
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

from configs import smoke
from cyclegan_jax import train
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import kept

_ROOT = pathlib.Path(__file__).parent.parent
_FIELDS = {
  'batch_size': 4,
  'num_epochs': 4000,
  'decay_epochs': 2000,
  'generator.levels': 2,
  'log_every_steps': 1,
  # Adam makes steps of rounding where gradients are small: let them be short.
  'optimizer.learning_rate': 1e-5,
  'sample_every_steps': 4000,
  'evaluate_every_steps': 4000,
  'checkpoint_every_steps': 4000,
}


@pytest.fixture(scope='module')
def fields(slice_folders):
  return _FIELDS | {
    'data.cache': str(slice_folders.parent / 'cache'),
    **{
      f'data.{name}': str(slice_folders / name)
      for name in ('train_a', 'train_b', 'test_a', 'test_b')
    },
  }


def start(environment, workdir, fields, **changes):
  return subprocess.Popen(
    [
      sys.executable,
      'launch.py',
      '--config=configs/smoke.py',
      f'--workdir={workdir}',
      *(f'--config.{k}={v}' for k, v in (fields | changes).items()),
    ],
    cwd=_ROOT,
    env=environment | {'OMP_NUM_THREADS': '1'},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def wait_for(process, words):
  for line in process.stdout:
    if words in line:
      return
  raise AssertionError(process.stderr.read())


@pytest.fixture(scope='module')
def stopped(environment, fields, tmp_path_factory):
  """A workdir of two processes; the second was asked to stop."""
  workdir = tmp_path_factory.mktemp('several') / 'run'
  with socket.socket() as probe:
    probe.bind(('', 0))
    place = f'localhost:{probe.getsockname()[1]},2'
  running = [
    start(environment(1), workdir, fields, distributed=f'{place},{index}')
    for index in range(2)
  ]
  try:
    wait_for(running[0], 'step 3/')
    running[1].send_signal(signal.SIGTERM)
    told = [process.communicate(timeout=120) for process in running]
  finally:
    for process in running:
      process.kill()
  return workdir, running, told


def test_a_stop_of_one_stops_both_at_one_step_with_a_line(stopped):
  workdir, running, told = stopped
  assert [process.returncode for process in running] == [1, 1], told
  step = kept.find(workdir).name
  line = f': interrupted: step {step} is saved, the same command resumes there'
  for name, (_, said) in zip(
    ('launch.py', 'launch.py, process 1 of 2'), told, strict=True
  ):
    assert [x for x in said.splitlines() if 'launch' in x] == [name + line]
    assert 'Traceback' not in said
  assert not re.search('step|epoch|devices', told[1][0])


def test_one_process_of_four_devices_goes_on_where_two_stopped(
  stopped, environment, fields, tmp_path
):
  """With dropout and Adam: as four devices would have gone all the way."""
  workdir, *_ = stopped
  last = int(kept.find(workdir).name) + 3
  process = start(environment(4), workdir, fields, max_steps=last)
  said = process.communicate(timeout=120)
  assert process.returncode == 0, said
  config = smoke.get_config()
  config.update_from_flattened_dict(fields | {'max_steps': last})
  state = train.train(config, tmp_path)
  trees = checkpoint.read_trees(kept.find(workdir), state.trees())
  chex.assert_trees_all_close(
    jax.device_get(list(trees.values())),
    jax.device_get(list(state.trees().values())),
    # Rounding grows with the steps, and how many there are hangs on when the
    # stop was heard.
    atol=5e-5,
  )
  lines, expected = (
    [
      json.loads(line)
      for line in (place / 'metrics.jsonl').read_text().splitlines()
    ]
    for place in (workdir, tmp_path)
  )
  assert len(lines) == len(expected) >= last
  for one, other in zip(lines, expected, strict=True):
    one.pop('images_per_second', None), other.pop('images_per_second', None)
    assert one.keys() == other.keys()
    for name, value in one.items():
      if isinstance(value, float):
        np.testing.assert_allclose(value, other[name], rtol=1e-4, atol=1e-4)
