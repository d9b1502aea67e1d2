"""What a soak does to a run, and what has to come of it: see `soak`."""

import dataclasses
import os
import platform
import shutil
import signal
import time

from benchmarks import soak_checks
from benchmarks import soak_runs
from cyclegan_jax import errors

DAMAGES = ('cut', 'removed', 'flipped', 'empty', 'half')
_SECONDS_TO_NOTICE = 20  # that another process is gone, on a busy machine
_WATCHDOG = soak_runs.WATCHDOG_SECONDS


@dataclasses.dataclass
class Fault:
  """Something that was done to a run.

  Attributes:
    kind: of `KINDS`.
    reached: the last step told before it.
    waited_s: from the fault to the end of all processes, or until what has to
      go on went on.
    ends: whether the run has to be started again.
    early: whether it came before a process could hear of it.
  """

  kind: str
  reached: int
  waited_s: float = 0.0
  ends: bool = True
  early: bool = False


def inject(kind: str, run: soak_runs.Run) -> Fault | None:
  """Does something to the newest start of a run, at a random moment.

  Returns:
    What it was; None if the run had ended before.
  """
  return KINDS[kind](kind, run)


def _wait_for_moment(run, *moments):
  """Whether a random moment, of one of these sorts, came before the end."""
  start, draw = run.start, run.random
  moment, share, steps = (
    draw.choice(moments),
    draw.random(),
    draw.randint(1, 60),
  )
  seconds = _WATCHDOG
  if moment == 'any':
    # Before that it is Python's own start that hears a signal.
    start.wait_for(lambda: False, 0.2 + 4 * share)
  elif moment == 'joined':
    start.wait_for(lambda: bool(start.lines('out', 0)), seconds)
    start.wait_for(lambda: False, 3 * share)
  elif moment == 'compiling':
    start.wait_for(lambda: start.has_said('compiling;'), seconds)
    start.wait_for(lambda: False, 1.5 * share)
  elif moment == 'saving':
    folder = run.workdir / 'checkpoints'
    # By then what an earlier kill has left half-done is cleared away.
    start.wait_for(lambda: start.has_said('compiling;'), seconds)
    start.wait_for(lambda: any(folder.glob('*.orbax-checkpoint-tmp*')), seconds)
    start.wait_for(lambda: False, 0.1 * share)
  else:  # 'steps', or 'soon': few of them
    steps = steps if moment == 'steps' else steps // 6
    wanted = max(start.step, run.expected) + steps
    start.wait_for(lambda: start.step > wanted, seconds)
  return not start.ended()


def _end(kind, run, reached, began):
  """The fault after which every process has to end; blames what does not."""
  if not run.start.wait():
    run.blame('HANG: killed by the watchdog')
  return Fault(kind, reached, time.monotonic() - began)


def _kill(kind, run):
  alone = run.layout.processes == 1
  moments = ('any', 'compiling', 'steps', 'saving')
  if not alone:
    moments = ('joined', 'compiling', 'steps', 'steps', 'saving', 'saving')
  index = run.random.randrange(run.layout.processes)
  if not _wait_for_moment(run, *moments):
    return None
  reached, began = run.start.step, time.monotonic()
  run.start.send(signal.SIGKILL, index)
  fault = _end(kind, run, reached, began)
  if run.start.processes[index].returncode == 0:
    return None
  for other in {0, 1} - {index} if not alone else ():
    aborts = index == 0 or not reached
    soak_checks.check_ending(
      run, other, (1, soak_checks.ABORTED) if aborts else (1,)
    )
  if not alone and not reached:
    # Before a first step nobody waits for another but by its heartbeats.
    fault.kind = 'kill early'
  elif fault.waited_s > _SECONDS_TO_NOTICE:
    run.blame(f'the other process ends after {fault.waited_s:.0f} s')
  return fault


def _ask(kind, run):
  number = signal.SIGTERM if kind == 'term' else signal.SIGINT
  alone = run.layout.processes == 1
  index = run.random.randrange(run.layout.processes)
  first = 'any' if alone else 'joined'
  if not _wait_for_moment(run, first, 'compiling', 'steps', 'saving'):
    return None
  reached, began = run.start.step, time.monotonic()
  deaf = not run.start.said
  run.start.send(number, index)
  fault = _end(kind, run, reached, began)
  if not any(run.start.statuses):  # it was done
    if max(reached, run.expected) < run.layout.max_steps - 30:
      run.blame('it did not hear that it is to stop')
    return None
  fault.early = deaf
  for each in range(run.layout.processes):
    # Before its first lines a process is Python's, which dies of a signal.
    soak_checks.check_ending(
      run, each, (1, -number, soak_checks.ABORTED) if deaf else (1,)
    )
  steps = soak_checks.SAVED.findall('\n'.join(run.start.lines('err')))
  if set(steps) - {str(max(run.whole(), default=0))} or (
    steps and len(steps) < run.layout.processes
  ):
    run.blame(f'saved are {run.whole()}, told are {steps}')
  if reached and not steps:
    run.blame('stopped between steps, and no step is told')
  return fault


def _fill(kind, run):
  disk, start = run.layout.disk, run.start
  ending = run.random.choice(
    ('freed', 'freed', 'left', 'killed', 'asked', 'kept')
  )
  failures = run.random.randint(1, 8)
  if not _wait_for_moment(run, 'steps'):
    return None
  reached, began = start.step, time.monotonic()
  if ending == 'kept':  # until the next start, which has to refuse
    start.kill()
    disk.fill()
    run.begin()
    fault = _end(kind, run, reached, began)
    soak_checks.check_ending(run, 0, (1, 2))
    disk.free()
    return fault
  disk.fill()
  failed = 'could not be saved'
  start.wait_for(lambda: _count(start, failed) >= failures, _WATCHDOG)
  ends = ending != 'freed' or start.ended()
  if ending == 'freed' and not start.ended():
    newest = max(run.whole(), default=0)
    disk.free()
    start.wait_for(lambda: max(run.whole(), default=0) > newest, _WATCHDOG)
    ends = start.ended() and start.statuses[0] != 0
    fault = Fault(kind, reached, time.monotonic() - began, ends=ends)
  else:
    if ending == 'killed':
      start.send(signal.SIGKILL)
    elif ending == 'asked':
      start.send(signal.SIGTERM)
    fault = _end(kind, run, reached, began)
    disk.free()
  soak_checks.check_full(run, ending)
  return fault


def _count(start, words):
  return sum(words in line for line in start.lines('out'))


def _damage(kind, run):
  """Kills, and damages the newest checkpoint; needs one before it."""
  if not _wait_for_moment(run, 'steps'):
    return None
  reached, began = run.start.step, time.monotonic()
  run.start.send(signal.SIGKILL)
  fault = _end('kill', run, reached, began)
  if run.start.statuses[0] == 0:
    return None
  whole = run.whole()
  if len(whole) < 2:
    return fault
  newest = whole[-1]
  path = run.workdir / 'checkpoints' / str(newest)
  if kind == 'empty':
    path = path.with_name(str(newest + run.random.choice((5, 10))))
    if path.exists():  # damaged before
      return fault
    path.mkdir()
  elif kind == 'half':
    meta = path / 'meta' / 'metadata'
    os.truncate(meta, meta.stat().st_size // 2)
  else:
    _damage_arrays(kind, run, path)
  run.damaged[path.name] = path.stat().st_ino
  fault.kind = kind
  return fault


def _damage_arrays(kind, run, path):
  """In a place that matters: files also hold what merging has left behind."""
  whole = soak_checks.read_checkpoint(run.layout, path)
  files = sorted(each for each in path.glob('*/**/d/*') if each.is_file())
  while True:
    file = run.random.choice(files)
    content = file.read_bytes()
    place = run.random.randrange(len(content))
    if kind == 'removed':
      file.unlink()
    elif kind == 'cut':
      file.write_bytes(content[:place])
    else:
      bit = bytes([content[place] ^ 1 << run.random.randrange(8)])
      file.write_bytes(content[:place] + bit + content[place + 1 :])
    try:
      found = soak_checks.read_checkpoint(run.layout, path)
    except errors.UserError:
      return
    if soak_checks.find_difference(found, whole):
      return  # and nobody has told: the run is not to go on from it
    file.write_bytes(content)


def _freeze(kind, run):
  index = run.random.randrange(run.layout.processes)
  if not _wait_for_moment(run, 'steps'):
    return None
  reached, began = run.start.step, time.monotonic()
  run.start.send(signal.SIGSTOP, index)
  if not run.start.wait([1 - index]):
    run.blame('HANG: the other process does not end')
    return Fault(kind, reached, time.monotonic() - began)
  waited = time.monotonic() - began
  run.start.kill()
  soak_checks.check_ending(run, 1 - index, (1, soak_checks.ABORTED))
  return Fault(kind, reached, waited)


def _double(kind, run):
  """A second start in the same workdir, later or at the same moment."""
  first = run.start
  later = run.layout.processes > 1 or first.said or run.random.random() < 0.5
  if later and not _wait_for_moment(run, 'soon'):
    return None
  reached, began = first.step, time.monotonic()
  second = run.layout.start(run.workdir)
  second.wait_for(lambda: first.ended() or 2 in second.statuses, _WATCHDOG)
  if first.ended() and 2 in first.statuses:
    first, second = second, first
  if first.ended():  # before the second could be refused
    second.kill()
    run.start = first
    if first.statuses[0]:
      run.blame(f'with a second start it ends: {first.statuses}')
    return None
  run.start = second
  if not second.wait():
    run.blame('HANG: the second start does not end')
  soak_checks.check_ending(run, 0, (2,))
  pid, host = first.processes[0].pid, platform.node()
  if not second.has_said(f'trained in by process {pid} on {host}'):
    run.blame('it is not told who has the workdir')
  run.start, told = first, first.step
  first.wait_for(lambda: first.step > told, _WATCHDOG)
  if first.ended() and any(first.statuses):
    run.blame(f'with a second start it ends: {first.statuses}')
  waited = time.monotonic() - began
  return Fault(kind, reached, waited, ends=False)


def make_room(run: soak_runs.Run):
  """Leaves nothing of a run for the next one."""
  run.layout.disk.free()
  shutil.rmtree(run.workdir, ignore_errors=True)


KINDS = {
  'kill': _kill,
  'term': _ask,
  'interrupt': _ask,
  'full': _fill,
  **dict.fromkeys(DAMAGES, _damage),
  'frozen': _freeze,
  'double': _double,
}
