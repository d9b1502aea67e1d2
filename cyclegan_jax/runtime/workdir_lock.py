"""One training at a time in a workdir: two would delete each other's work.

The kernel holds the lock for as long as the process lives. Disks that several
machines share may have no locks, or locks that the other machines do not see;
so the file says who has the workdir, and is refreshed by who does.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import datetime
import json
import os
import pathlib
import platform
import tempfile
import threading
import time

from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files

try:
  import fcntl
except ImportError:  # not on Windows
  fcntl = None

REFRESH_SECONDS = 10
STALE_SECONDS = 60  # not refreshed for so long: its process has ended
_NAME = '.lock'
_BOOT = pathlib.Path('/proc/sys/kernel/random/boot_id')


@contextlib.contextmanager
def hold(workdir: pathlib.Path) -> Iterator[Callable[[], Callable[[], bool]]]:
  """Within, no other process trains in a workdir.

  A folder that is there is taken at once; a new one is not to be left behind by
  a run that finds out first that it cannot start.

  Yields:
    A function that makes a folder that is not there yet, and takes it; it
    returns another: whether the folder is still this process's.

  Raises:
    UserError: from either, if another process has it; nothing is touched then.
  """
  with contextlib.ExitStack() as stack:
    still_ours = None

    def take():
      nonlocal still_ours
      if still_ours is None:
        workdir.mkdir(parents=True, exist_ok=True)
        still_ours = stack.enter_context(_hold(workdir))
      return still_ours

    if workdir.is_dir():
      take()
    yield take


def check(workdir: pathlib.Path):
  """Raises `UserError` if another process on this host has a workdir now."""
  path = workdir / _NAME
  # What cannot be looked at or locked here is left to `hold`.
  if fcntl is None or not path.is_file() or not os.access(path, os.R_OK):
    return
  with path.open() as file:
    try:
      fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
      raise _refusal(workdir, _read(path)) from None
    except OSError:
      return


@contextlib.contextmanager
def _hold(workdir):
  path = workdir / _NAME
  with path.open('a') as file:
    reason = _lock(workdir, file)
    holder = _read(path)
    if holder:
      _take_over(workdir, holder, certain=reason is None)
    if reason:
      console.say(
        f'note: {workdir} cannot be locked ({reason}); its {_NAME} file says '
        'who trains in it'
      )
    now = datetime.datetime.now().isoformat(' ', 'seconds')
    own = {'process': os.getpid(), 'host': platform.node(), 'since': now}
    own |= {'boot': _boot()}
    _write(file, json.dumps(own))
    ended, lost = threading.Event(), threading.Event()
    refresher = threading.Thread(
      target=_refresh, args=(path, own, ended, lost), daemon=True
    )
    refresher.start()
    try:
      yield lambda: not lost.is_set()
    finally:
      ended.set()
      refresher.join()
      if not lost.is_set():
        with contextlib.suppress(OSError):  # a disk that has gone
          _write(file, '')


def _lock(workdir, file):
  """Takes the kernel's lock; why that cannot be had, None if it was."""
  if fcntl is None:
    return 'this system has no flock'
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    raise _refusal(workdir, _read(workdir / _NAME)) from None
  except OSError as error:  # some network disks know no locks
    return error.strerror
  return None


def _take_over(workdir, holder, *, certain):
  """From a process that left its name here; refuses if that goes on.

  Args:
    workdir: that it had.
    holder: what it wrote.
    certain: whether the kernel has given us the lock.
  """
  here = (holder['host'], holder['boot']) == (platform.node(), _boot())
  if here and not certain and files.may_run(holder['process']):
    raise _refusal(workdir, holder)
  if not here and _is_refreshed(workdir, holder):
    raise _refusal(workdir, holder)
  console.say(
    f'note: {workdir} was left by {_describe(holder)}, which has ended without '
    'a word; it is taken over'
  )


def _is_refreshed(workdir, holder):
  """Watches the lock of another host until it is refreshed, or stale.

  By the clock of the disk, which may not be ours.
  """
  path = workdir / _NAME
  seen = path.stat().st_mtime
  with tempfile.NamedTemporaryFile(prefix='.partial-', dir=workdir) as probe:
    left = STALE_SECONDS - (os.stat(probe.name).st_mtime - seen)
  if left > 0:
    console.say(
      f'{workdir} was in use by {_describe(holder)} a moment ago; waiting up '
      f'to {left:.0f} s for a sign of it'
    )
  deadline = time.monotonic() + left
  while time.monotonic() < deadline:
    time.sleep(min(1, STALE_SECONDS / 10))
    if path.stat().st_mtime != seen:
      return True
  return False


def _refresh(path, own, ended, lost):
  """Until `ended`, or until another process took over while this one slept."""
  while not ended.wait(REFRESH_SECONDS):
    if _read(path) not in (own, None):
      lost.set()
      return
    with contextlib.suppress(OSError):  # a disk may come back
      os.utime(path)


def _write(file, text):
  file.truncate(0)
  file.write(text)
  file.flush()


def _read(path):
  """Who has it; None if nobody says so, or in words of an older version."""
  try:
    holder = json.loads(path.read_text())
    wanted = {'process', 'host', 'since', 'boot'}
    return holder if wanted <= holder.keys() else None
  except (OSError, ValueError, AttributeError):
    return None


def _boot():
  """Tells machines apart whose containers have the same name."""
  try:
    return f'{_BOOT.read_text().strip()} {files.process_space()}'
  except OSError:
    return ''


def _describe(holder):
  return f'process {holder["process"]} on {holder["host"]}'


def _refusal(workdir, holder):
  by = 'another process'
  if holder:
    by = f'{_describe(holder)} since {holder["since"]}'
  return errors.UserError(
    f'--workdir={workdir} is being trained in by {by}; wait for it or stop it, '
    'or use another --workdir'
  )
