"""Runs that a soak starts, watches, stops and compares: see `soak`."""

from collections.abc import Callable
import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from benchmarks import soak_disk

ROOT = pathlib.Path(__file__).parent.parent
WATCHDOG_SECONDS = 120  # longer than any wait that is promised to end
_EPOCHS = 500  # as tests/launch_test.py: a program that is compiled already
_POLL_SECONDS = 0.005
_LOG = re.compile(r'step \d+/|epoch \d+ averages')
_STEP = re.compile(r'step (\d+)/')
_RESUMED = re.compile(r'resuming after step ([\d,]+)')


class Start:
  """One start of a run: its processes, and what they say as they say it."""

  def __init__(self, commands: list[list[str]], environment: dict[str, str]):
    self.began = time.monotonic()
    self.said = []  # (seconds, process, 'out' or 'err', line)
    self.processes = [
      subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors='replace',
        start_new_session=True,  # not to hear of a Ctrl-C
      )
      for command in commands
    ]
    self._readers = [
      threading.Thread(target=self._read, args=(index, name, stream))
      for index, process in enumerate(self.processes)
      for name, stream in (('out', process.stdout), ('err', process.stderr))
    ]
    for reader in self._readers:
      reader.start()

  def _read(self, index, name, stream):
    with stream:
      for line in stream:
        seconds = time.monotonic() - self.began
        self.said.append((seconds, index, name, line.rstrip('\n')))

  def lines(self, name: str, index: int | None = None) -> list[str]:
    """What was said to 'out' or 'err', by one process or by all."""
    return [
      line
      for _, speaker, stream, line in list(self.said)
      if stream == name and index in (None, speaker)
    ]

  def has_said(self, words: str) -> bool:
    return any(words in line for *_, line in list(self.said))

  def seconds_to(self, *words: str) -> float | None:
    """From the start to the first line that has any of these words."""
    for seconds, *_, line in list(self.said):
      if any(each in line for each in words):
        return seconds
    return None

  @property
  def step(self) -> int:
    """The last one told; 0 before there is one."""
    found = [_STEP.match(line) for line in self.lines('out', 0)]
    return max((int(each[1]) for each in found if each), default=0)

  @property
  def resumed_after(self) -> int | None:
    """The step it goes on from, 0 if it began; None before that is known."""
    for line in self.lines('out', 0):
      found = _RESUMED.search(line)
      if found:
        return int(found[1].replace(',', ''))
    return 0 if self.has_said('compiling;') else None

  @property
  def statuses(self) -> list[int | None]:
    return [process.poll() for process in self.processes]

  def ended(self) -> bool:
    return None not in self.statuses

  def wait_for(self, test: Callable[[], bool], seconds: float) -> bool:
    """Whether `test` came true in time and before all processes ended."""
    deadline = time.monotonic() + seconds
    while not test():
      if self.ended() or time.monotonic() > deadline:
        return test()
      time.sleep(_POLL_SECONDS)
    return True

  def wait(self, indices=None) -> bool:
    """Waits for processes to end; kills all and is False if they do not."""
    wanted = range(len(self.processes)) if indices is None else indices
    deadline = time.monotonic() + WATCHDOG_SECONDS
    try:
      for index in wanted:
        left = max(0.0, deadline - time.monotonic())
        self.processes[index].wait(left)
    except subprocess.TimeoutExpired:
      self.kill()
      return False
    if self.ended():
      self._join()
    return True

  def send(self, number: int, index: int = 0):
    if self.processes[index].poll() is None:
      self.processes[index].send_signal(number)

  def kill(self):
    for index, process in enumerate(self.processes):
      self.send(signal.SIGKILL, index)
      process.wait()
    self._join()

  def _join(self):
    for reader in self._readers:
      reader.join()

  def text(self) -> str:
    """What was said but for its log, for whoever looks for what went wrong."""
    return '\n'.join(
      f'    {seconds:7.2f} {index} {name} {line[:300]}'
      for seconds, index, name, line in list(self.said)
      if not _LOG.match(line)
    )


class Layout:
  """So many processes of a device each, and how they are started."""

  def __init__(self, processes: int, root: pathlib.Path, *, max_steps: int):
    self.processes = processes
    self.disk = soak_disk.Disk(root / f'disk{processes}')
    self.max_steps = max_steps
    quick = '--xla_backend_optimization_level=1'
    flags = os.environ.get('XLA_FLAGS', quick)
    kept = os.environ.get('JAX_COMPILATION_CACHE_DIR', root / 'compiled')
    clean = {
      name: value
      for name, value in os.environ.items()
      if not name.startswith(('SLURM_', 'OMPI_', 'JAX_'))
    }
    self._environment = clean | {
      'XLA_FLAGS': f'{flags} --xla_force_host_platform_device_count=1',
      'OMP_NUM_THREADS': '1',
      'JAX_PLATFORMS': 'cpu',
      'JAX_COMPILATION_CACHE_DIR': str(kept),
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    }
    self._cache = root / 'cache'

  def fields(self) -> dict[str, object]:
    """Of the config: those of configs/smoke.py that are changed."""
    # The second process of two compiles at every start: JAX keeps programs of
    # the first one only.
    quick: dict[str, object] = {}
    if self.processes > 1:
      quick = {'generator.levels': 2, 'generator.dropout': 0.0}
      quick['loss.identity'] = 0.0
    return quick | {
      'batch_size': self.processes,
      'num_epochs': _EPOCHS,
      'max_steps': self.max_steps,
      # Neither divides the other: a window is open when a checkpoint is saved.
      'log_every_steps': 3,
      'checkpoint_every_steps': 10,
      'sample_every_steps': 70,
      'evaluate_every_steps': 70,
    }

  def start(self, workdir: pathlib.Path) -> Start:
    changed = [f'--config.{k}={v}' for k, v in self.fields().items()]
    command = [
      *(sys.executable, 'launch.py', '--config=configs/smoke.py'),
      *(f'--workdir={workdir}', f'--config.data.cache={self._cache}'),
      *changed,
    ]
    spec, count = '--config.distributed', self.processes
    place = f'localhost:{_free_port()}'
    specs = [f'{spec}={place},{count},{i}' for i in range(count)]
    if count == 1:
      specs = [f'{spec}=off']
    return Start([[*command, each] for each in specs], self._environment)


class Run:
  """A run that is started again and again until it is done.

  Attributes:
    layout: of its processes.
    random: what is not left to the machine.
    workdir: its own.
    start: the newest.
    expected: the step of the newest whole checkpoint when it began, or 0.
    damaged: inodes by name of checkpoints that were damaged on purpose.
    damaged_when_started: names of those that were there when it began.
    faults: kinds that it went through.
    wrong: what was not as promised, in words.
    pending: faults after which nothing is known to have gone on yet.
  """

  def __init__(self, layout: Layout, seed: str):
    self.layout = layout
    self.random = random.Random(seed)
    self.workdir = layout.disk.folder / 'run'
    self.damaged = {}
    self.faults = []
    self.wrong = []
    self.pending = []
    self.begin()

  def begin(self):
    """Starts it, from what is known to be its newest whole checkpoint."""
    whole = self.whole()
    self.expected = max(whole, default=0)
    there = {path.name for path in (self.workdir / 'checkpoints').glob('*')}
    self.damaged_when_started = {
      name for name in self.damaged if name in there and int(name) not in whole
    }
    self.start = self.layout.start(self.workdir)

  def whole(self) -> list[int]:
    """Steps of the checkpoints that nobody has damaged."""
    found = []
    for path in (self.workdir / 'checkpoints').glob('*'):
      with contextlib.suppress(OSError):  # just deleted
        inode = self.damaged.get(path.name)
        if path.name.isdigit() and path.stat().st_ino != inode:
          found.append(int(path.name))
    return sorted(found)

  def blame(self, words: str):
    """Notes what was not as promised, with all that was said."""
    self.wrong.append(f'{", ".join(self.faults)}: {words}\n{self.start.text()}')


def _free_port():
  with socket.socket() as probe:
    probe.bind(('', 0))
    return probe.getsockname()[1]
