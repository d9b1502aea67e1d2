"""Faults at random moments of runs, and whether they end like runs without.

  python -m benchmarks.soak --minutes=20 --seed=1
  python -m benchmarks.soak --full
  python -m benchmarks.soak --layouts=1 --counts=kill=1,flipped=1,double=1

Tiny runs by the real command line, of one process and of two: killed, asked to
stop, on a full disk, with damaged checkpoints, beside a frozen peer, started
twice. After every fault the same command goes on; what a run ends with has to
be that of a run without faults, to the bit. A full disk needs the right to
mount one. Seeds give the order of faults, not the moments of a machine.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import signal
import tempfile
import threading
import time

from absl import app
from absl import flags
from absl import logging

from benchmarks import soak_checks
from benchmarks import soak_faults
from benchmarks import soak_runs
from benchmarks import soak_table
from benchmarks import turns

_MINUTES = flags.DEFINE_float('minutes', 10, 'After that, no more faults.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the order of faults.')
_FULL = flags.DEFINE_bool('full', False, 'Until every kind had its count.')
_COUNTS = flags.DEFINE_list('counts', None, 'KIND=COUNT: these, and no more.')
_LAYOUTS = flags.DEFINE_list('layouts', ['1', '2'], 'Processes of a run.')
_STEPS = flags.DEFINE_integer(
  'steps', 400, 'Of a run; of two processes, a third.'
)
_WORKDIR = flags.DEFINE_string('workdir', None, 'Default: a temporary folder.')

# How often in a full soak, or in what proportion, by processes.
_GOALS = {
  1: {'kill': 85, 'term': 12, 'interrupt': 6, 'full': 12, 'double': 6}
  | dict.fromkeys(soak_faults.DAMAGES, 10),
  2: {
    'kill': 20,
    'term': 10,
    'interrupt': 5,
    'frozen': 2,
    'double': 2,
    'full': 3,
  },
}
_ONE_AT_A_TIME = threading.Lock()  # prints


class Soak:
  """Runs of one layout, one after another, and what came of their faults."""

  def __init__(self, layout, goals, *, full, deadline, over):
    """Names kinds and counts.

    Args:
      layout: of the runs.
      goals: how often, by kind.
      full: to go on until every kind had its count, and no longer.
      deadline: by `time.monotonic`, unless full.
      over: an event, for whoever does not want to wait.
    """
    self.layout = layout
    if not layout.disk.limited:
      goals = {kind: count for kind, count in goals.items() if kind != 'full'}
    self.goals = goals
    self.rows = {kind: soak_table.Row() for kind in goals}
    self.runs = 0
    self._full, self._deadline, self._over = full, deadline, over
    self._twin = {}, []

  def go(self, seed: int):
    """Goes through runs until time or counts are used up."""
    self._twin = self._make_twin()
    while not self._is_over():
      run = soak_runs.Run(
        self.layout, f'{seed} {self.layout.processes} {self.runs}'
      )
      try:
        if self._go_through(run):
          self._compare(run)
      finally:
        if not run.start.ended():
          run.start.kill()
        soak_faults.make_room(run)
      self.runs += 1
      for each in run.wrong:
        say(f'BROKEN in run {self.runs} ({self.layout.processes}): {each}')
      counts = {kind: row.injected for kind, row in self.rows.items()}
      say(f'{self.layout.processes} process(es), run {self.runs}: {counts}')

  def _is_over(self):
    if self._over.is_set():
      return True
    if self._full:
      return not any(self._left().values())
    return time.monotonic() > self._deadline

  def _left(self):
    return {
      kind: max(0, goal - self.rows[kind].injected)
      for kind, goal in self.goals.items()
    }

  def _choose(self, run):
    """A kind; those that are far from their count more often."""
    if self._is_over():
      return None
    left = self._left()
    weights = left if any(left.values()) else self.goals
    return run.random.choices(list(weights), list(weights.values()))[0]

  def _make_twin(self):
    run = soak_runs.Run(self.layout, 'twin')
    if not run.start.wait() or any(run.start.statuses):
      raise SystemExit(f'a run without faults fails\n{run.start.text()}')
    twin = self._read(run)
    soak_faults.make_room(run)
    return twin

  def _read(self, run):
    """The last checkpoint of a run, and its log."""
    path = run.workdir / 'checkpoints' / str(self.layout.max_steps)
    return (
      soak_checks.read_checkpoint(self.layout, path),
      soak_checks.read_log(run.workdir),
    )

  def _go_through(self, run):
    """Whether a run came to its end."""
    while True:
      kind = self._choose(run)
      wrong = len(run.wrong)
      fault = None
      if kind:
        fault = soak_faults.inject(kind, run)
      elif not run.start.wait():
        run.blame('HANG: without a fault')
      if not fault and not run.start.ended():
        run.blame(f'HANG: no moment for {kind}')
        run.start.kill()
      self._settle(run)
      row = self._note(run, fault, kind or 'none')
      ended = run.start.ended()
      over = ended and not (fault and fault.ends)
      if over and any(run.start.statuses):
        run.blame(f'it ended by itself: {run.start.statuses}')
      row.broken += len(run.wrong) - wrong
      if ended:
        row.aborted += run.start.statuses.count(soak_checks.ABORTED)
        row.tracebacks += sum(
          'Traceback' in line for *_, line in run.start.said
        )
      if over:
        return not any(run.start.statuses)
      if ended:
        run.begin()

  def _settle(self, run):
    """Notes what the newest start went on from, once it is known."""
    resumed = soak_checks.find_resumption(run)
    if resumed is None:
      return
    start = run.start
    seconds = start.seconds_to('compiling;', 'nothing left to do')
    for fault in run.pending:
      row = self.rows[fault.kind]
      row.resumed += 1
      row.lost.append(max(0, fault.reached - resumed))
      row.longest_s = max(row.longest_s, seconds or 0.0)
    run.pending = []

  def _note(self, run, fault, kind):
    """The row of a fault, or of one that came to nothing."""
    name = fault.kind if fault else kind
    row = self.rows.setdefault(name, soak_table.Row())
    if not fault:
      return row
    row.injected += 1
    total = sum(each.injected for each in self.rows.values())
    if total % 20 == 0:
      say(f'{self.layout.processes} process(es): {total} faults')
    row.early += fault.early
    row.longest_s = max(row.longest_s, fault.waited_s)
    run.faults.append(fault.kind)
    if fault.ends:
      run.pending.append(fault)
    else:
      row.resumed += 1
      row.lost.append(0)
    return row

  def _compare(self, run):
    """With the run that had no faults."""
    twin, twin_log = self._twin
    try:
      found, log = self._read(run)
    except Exception as error:  # whatever it is, it is a mismatch
      found, log = {}, [repr(error)]
    different = soak_checks.find_difference(found, twin)[:3]
    if log != twin_log:
      missing = [line for line in twin_log if line not in log]
      surplus = [line for line in log if line not in twin_log]
      different.append(f'log: without {missing[:3]}, with {surplus[:3]}')
    if different:
      run.blame(f'not as without faults: {"; ".join(different)}')
    for kind in set(run.faults) if different else ():
      self.rows[kind].mismatches += 1


def say(text):
  with _ONE_AT_A_TIME:
    print(f'{time.strftime("%H:%M:%S")} {text}', flush=True)


def _make_soak(processes, root, stack, **options):
  layout = soak_runs.Layout(
    processes, root, max_steps=_STEPS.value // (2 * processes - 1)
  )
  stack.callback(layout.disk.close)
  goals = _GOALS[processes]
  if _COUNTS.value:
    wanted = dict(each.split('=') for each in _COUNTS.value)
    goals = {kind: int(count) for kind, count in wanted.items()}
  if not layout.disk.limited and 'full' in goals:
    print('no disk can be mounted here: none is filled')
  full = _FULL.value or bool(_COUNTS.value)
  return Soak(layout, goals, full=full, **options)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  os.environ['JAX_PLATFORMS'] = 'cpu'
  for number in (signal.SIGINT, signal.SIGTERM):  # also under nohup
    signal.signal(number, signal.default_int_handler)
  logging.set_verbosity(logging.FATAL)
  print(turns.describe_machine('jax', 'flax', 'orbax-checkpoint'))
  over = threading.Event()
  deadline = time.monotonic() + 60 * _MINUTES.value
  with contextlib.ExitStack() as stack:
    root = _WORKDIR.value or stack.enter_context(tempfile.TemporaryDirectory())
    root = pathlib.Path(root).absolute()
    soaks = [
      _make_soak(int(each), root, stack, deadline=deadline, over=over)
      for each in _LAYOUTS.value
    ]
    threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor())
    jobs = [threads.submit(soak.go, _SEED.value) for soak in soaks]
    try:
      for job in jobs:
        job.result()
    except KeyboardInterrupt:
      print('no more faults; what is under way is ended and compared')
    finally:
      over.set()
      concurrent.futures.wait(jobs)
    soak_table.print_table(soaks)
  wrong = [
    row.mismatches + row.broken + row.tracebacks
    for soak in soaks
    for row in soak.rows.values()
  ]
  if any(wrong):
    raise SystemExit('not everything went as promised: see BROKEN above')


if __name__ == '__main__':
  app.run(main)
