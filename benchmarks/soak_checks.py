"""What has to come of the faults of a soak: see `soak`."""

import json
import pathlib
import re
import signal
import threading

import numpy as np

from benchmarks import soak_runs

ABORTED = -signal.SIGABRT  # the runtime's, where the coordinator has died
# What the C++ runtime says on its own: glog lines, and Gloo's.
_RUNTIME = re.compile(
  r'[IWEF]\d{4} |\[Gloo\]|WARNING: All log messages|\*\*\* '
)
_ONE_AT_A_TIME = threading.Lock()  # traces and reads
SAVED = re.compile(r'interrupted: step (\d+) is saved')


def check_ending(run: soak_runs.Run, index: int, statuses: tuple[int, ...]):
  """Whether a process ended with one of these, with one line of its own."""
  status = run.start.processes[index].returncode
  if status not in statuses:
    run.blame(f'process {index}: status {status} instead of {statuses}')
  own, strange, runtime = 0, [], False
  for line in run.start.lines('err', index):
    runtime = runtime or bool(_RUNTIME.match(line))  # it goes on over lines
    if line.startswith('launch.py'):
      own += 1
    elif not runtime:
      strange.append(line)
  if status in (1, 2) and own != 1:
    run.blame(f'process {index}: {own} lines instead of one')
  if status != ABORTED and strange:
    run.blame(f'process {index}: {strange[0]!r}')


def check_full(run: soak_runs.Run, ending: str):
  """One line a failure, and a last one that does not promise what is not."""
  start = run.start
  told = [line for line in start.lines('out') if 'could not be saved' in line]
  if not told and start.ended() and start.statuses[0] != -signal.SIGKILL:
    run.blame('a full disk, and nothing is told')
  if len(set(told)) < len(told):
    run.blame('a failure is told twice')
  if start.ended() and start.statuses[0] not in (0, -signal.SIGKILL):
    check_ending(run, 0, (1,))
    newest = max(run.whole(), default=0)
    promised = SAVED.search('\n'.join(start.lines('err')))
    if promised and int(promised[1]) != newest:
      run.blame(f'step {promised[1]} is not saved, the newest is {newest}')
  if ending == 'left' and start.statuses[0] != 1:
    run.blame(f'status {start.statuses[0]} though the last save failed')


def find_resumption(run: soak_runs.Run) -> int | None:
  """The step that the newest start went on from; None before it did.

  Blames the run if there is a newer checkpoint that is whole, or if damaged
  ones are not told, or not left where they were.
  """
  start = run.start
  if start.has_said('nothing left to do'):
    return run.layout.max_steps
  resumed = start.resumed_after
  if resumed is None:
    return None
  if resumed != run.expected:
    run.blame(f'goes on from {resumed} though {run.expected} is whole')
  told = ' '.join(line for line in start.lines('out') if 'be read:' in line)
  named = re.findall(r'\d+', told.partition('be read:')[2].partition(';')[0])
  wanted = {
    name for name in run.damaged_when_started if int(name) > run.expected
  }
  if set(named) != wanted:
    run.blame(f'damaged are {sorted(wanted)}, told are {named}')
  return resumed


def read_checkpoint(layout: soak_runs.Layout, path: pathlib.Path) -> dict:
  """All arrays of a checkpoint, by place.

  Raises:
    UserError: if it cannot be read.
  """
  # Once the environment is set: see `soak.main`.
  import jax

  from configs import smoke
  from cyclegan_jax import build
  from cyclegan_jax.runtime import checkpoint

  config = smoke.get_config()
  config.update_from_flattened_dict(layout.fields())
  schedule = build.schedule(config, steps_per_epoch=1)
  create = build.create_state(config, build.networks(config), schedule)
  with _ONE_AT_A_TIME:
    trees = checkpoint.read_trees(path, jax.eval_shape(create).trees())
  return {
    jax.tree_util.keystr(place): np.asarray(leaf)
    for place, leaf in jax.tree_util.tree_leaves_with_path(trees)
  }


def find_difference(found: dict, expected: dict) -> list[str]:
  """Places of arrays that are not the same to the bit."""
  return [
    place
    for place in sorted(found.keys() | expected.keys())
    if place not in found
    or place not in expected
    or found[place].dtype != expected[place].dtype
    or found[place].tobytes() != expected[place].tobytes()
  ]


def read_log(workdir: pathlib.Path) -> list[dict]:
  """The lines of a log without their rates."""
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  log = [json.loads(line) for line in lines]
  for line in log:
    line.pop('images_per_second', None)
  return log
