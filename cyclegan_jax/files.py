"""Files written whole or not at all, and folders that are numbered."""

import contextlib
import json
import os
import pathlib
import platform
import shutil
import tempfile
import time
from typing import Any

# Hidden: nobody takes what is in it for a scan.
_PARTIAL = '.partial-'
_ABANDONED = 86_400  # seconds: nothing is being written for so long


@contextlib.contextmanager
def replace_file(path: pathlib.Path):
  """Yields a temporary path that becomes `path` if nothing goes wrong."""
  with partial_folder(path.parent) as folder:
    # A folder of its own, for the name to be the same, and with it the suffix.
    partial = folder / path.name
    with naming(path):
      yield partial
      os.replace(partial, path)


@contextlib.contextmanager
def naming(path: pathlib.Path):
  """What a disk refuses within is told of `path`, not of where it was tried."""
  try:
    yield
  except OSError as error:
    if _PARTIAL in str(error.filename or _PARTIAL):
      error.filename = str(path)
    raise


@contextlib.contextmanager
def partial_folder(parent: pathlib.Path):
  """Yields a temporary folder in another one, which is made if need be.

  No two processes get the same. A process that is killed leaves it behind: its
  name tells `sweep` whose it is.
  """
  parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(
    prefix=f'{_PARTIAL}{_machine()}-{os.getpid()}-', dir=parent
  ) as folder:
    yield pathlib.Path(folder)


def sweep(parent: pathlib.Path):
  """Removes the partial folders that killed processes left in a folder."""
  for path in parent.glob(f'{_PARTIAL}*'):
    if path.is_dir() and _is_abandoned(path):
      shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path):
  owner = path.name.removeprefix(_PARTIAL).rpartition('-')[0]
  host, _, process = owner.rpartition('-')
  here = host == _machine() and process.isdecimal()
  if here and not may_run(int(process)):
    return True
  try:  # nobody here knows of another machine's processes
    return time.time() - path.stat().st_mtime > _ABANDONED
  except OSError:  # whoever owns it was faster
    return False


def may_run(process: int) -> bool:
  """Whether a process of this machine may be alive; not where it is certain."""
  if os.name != 'posix':
    return True
  try:
    os.kill(process, 0)  # asks whether it lives, no more
  except ProcessLookupError:
    return False
  except (OSError, OverflowError):  # it is somebody else's, or none
    return True
  return True


def process_space() -> str:
  """Tells containers of one machine apart: each counts its own processes."""
  try:
    return os.readlink('/proc/self/ns/pid').strip('pid:[]')
  except OSError:  # not on Linux
    return ''


def _machine():
  return f'{platform.node()}.{process_space()}'


def write_json(path: pathlib.Path, content: Any):
  """Writes what JSON can hold."""
  with replace_file(path) as partial:
    partial.write_text(json.dumps(content, indent=2) + '\n')


def list_numbered(folder: pathlib.Path) -> list[pathlib.Path]:
  """What has a number for a name in a folder, in order; nothing without one."""
  if not folder.is_dir():
    return []
  found = (path for path in folder.iterdir() if path.name.isdigit())
  return sorted(found, key=lambda path: int(path.name))


def probe_folder(folder: pathlib.Path):
  """Raises `OSError` if nothing can be written there; leaves no trace.

  Args:
    folder: that is there, or may be made.
  """
  there = folder.absolute()
  while not there.exists():
    there = there.parent
  # Permissions tell little: not of root, nor of what no disk is behind.
  tempfile.TemporaryDirectory(prefix=f'{_PARTIAL}probe-', dir=there).cleanup()
