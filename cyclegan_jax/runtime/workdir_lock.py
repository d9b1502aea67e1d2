"""One training at a time in a workdir: two would delete each other's work.

The kernel holds the lock, for as long as the process lives: a run that was
killed leaves none behind. The file stays; only a lock on it means anything.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import datetime
import os
import pathlib
import platform

from cyclegan_jax import console
from cyclegan_jax import errors

try:
  import fcntl
except ImportError:  # not on Windows
  fcntl = None

_NAME = '.lock'


@contextlib.contextmanager
def hold(workdir: pathlib.Path) -> Iterator[Callable[[], None]]:
  """Within, no other process trains in a workdir.

  A folder that is there is taken at once; a new one is not to be left behind by
  a run that finds out first that it cannot start.

  Yields:
    A function that makes a folder that is not there yet, and takes it.

  Raises:
    UserError: from either, if another process has it; nothing is touched then.
  """
  with contextlib.ExitStack() as stack:
    taken = False

    def take():
      nonlocal taken
      if not taken:
        workdir.mkdir(parents=True, exist_ok=True)
        _lock(workdir, stack.enter_context((workdir / _NAME).open('a+')))
      taken = True

    if workdir.is_dir():
      take()
    yield take


def check(workdir: pathlib.Path):
  """Raises `UserError` if another process has a workdir now."""
  path = workdir / _NAME
  # What cannot be looked at or locked here is left to `hold`.
  if fcntl is None or not path.is_file() or not os.access(path, os.R_OK):
    return
  with path.open() as file:
    try:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
      _refuse(workdir, file)
    except OSError:
      return


def _lock(workdir, file):
  if fcntl is None:
    reason = 'this system has no flock'
  else:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      reason = None
    except BlockingIOError:
      _refuse(workdir, file)
    except OSError as error:  # some network disks know no locks
      reason = error.strerror
  if reason:
    console.say(
      f'note: {workdir} cannot be locked ({reason}): start no second training '
      'in it while this one runs'
    )
  now = datetime.datetime.now().isoformat(' ', 'seconds')
  file.truncate(0)
  file.write(f'process {os.getpid()} on {platform.node()} since {now}\n')
  file.flush()


def _refuse(workdir, file):
  file.seek(0)
  holder = file.read().strip() or 'another process'
  raise errors.UserError(
    f'--workdir={workdir} is being trained in by {holder}; wait for it or stop '
    'it, or use another --workdir'
  )
