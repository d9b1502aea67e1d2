"""Lines and progress bars: a terminal gets bars, a log file gets lines."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import io
import pathlib
import sys
import time

import tqdm

Report = Callable[[int, int], None]  # called with what is done, and all
_SECONDS = 5  # between two lines of progress


def name_program() -> str:
  """What was started: launch.py, or the command that pip has installed."""
  name = pathlib.Path(sys.argv[0]).name
  return 'cyclegan-jax' if name in ('__main__.py', '-c', '') else name


class Silence(io.TextIOBase):
  """A stream that takes everything and tells nothing."""

  def write(self, text: str) -> int:
    return len(text)


def silence():
  """From here on this process says nothing but what goes wrong."""
  sys.stdout = Silence()


def on_terminal() -> bool:
  """Whether somebody looks on, to whom a bar can be shown."""
  return sys.stderr.isatty() and not isinstance(sys.stdout, Silence)


def say(message: str):
  """Prints a line at once, above a progress bar if there is one."""
  tqdm.tqdm.write(message, file=sys.stdout)
  sys.stdout.flush()


def report_progress(task: str) -> Report:
  """A `report(done, total)`: a bar on a terminal, else a line every 5 s."""
  bar = None  # not shown before there is something to tell
  told = time.monotonic()

  def report(done, total):
    nonlocal bar, told
    if on_terminal():
      bar = bar or tqdm.tqdm(desc=task, total=total, leave=False)
      bar.update(done - bar.n)
      if done == total:
        bar.close()
    elif time.monotonic() - told > _SECONDS:
      told = time.monotonic()
      say(f'{task}: {done} of {total}')

  return report


@contextlib.contextmanager
def follow(count: int) -> Iterator[Callable[[int, str], Report]]:
  """Yields `start(number, name)`, which gives a `report` for one of several.

  On a terminal there is one bar over all of them, which goes forward only;
  elsewhere a line every 5 s.

  Args:
    count: of the things, numbered from 1.
  """
  told = time.monotonic()
  with tqdm.tqdm(
    total=count,
    leave=False,
    disable=not on_terminal(),
    bar_format='{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}',
  ) as bar:

    def start(number, name):
      task = f'{number} of {count}: {name}'
      bar.set_description_str(task)

      def report(done, total):
        nonlocal told
        share = number - 1 + done / max(total, 1)
        bar.update(max(share - bar.n, 0))
        if bar.disable and time.monotonic() - told > _SECONDS:
          told = time.monotonic()
          say(f'{task}: {done} of {total}')

      return report

    yield start


def format_size(size: int) -> str:
  """Bytes as people say them: '12 kB', '3.4 MB', '1.2 GB'."""
  for unit, words in ((1e9, 'GB'), (1e6, 'MB')):
    if size >= unit:
      return f'{size / unit:.3g} {words}'
  return f'{size / 1e3:.3g} kB'


def format_duration(seconds: float) -> str:
  """Seconds as people say them: '45 s', '12 min', '3.5 h', '2.0 days'."""
  if seconds < 90:
    return f'{seconds:.0f} s'
  if seconds < 5400:
    return f'{seconds / 60:.0f} min'
  if seconds < 172_800:
    return f'{seconds / 3600:.1f} h'
  return f'{seconds / 86_400:.1f} days'
