"""Files written whole or not at all, and folders that are numbered."""

import contextlib
import json
import os
import pathlib
import tempfile
from typing import Any


@contextlib.contextmanager
def replace_file(path: pathlib.Path):
  """Yields a temporary path that becomes `path` if nothing goes wrong."""
  path.parent.mkdir(parents=True, exist_ok=True)
  # A folder of its own, so that the name, and with it the suffix, is the same.
  with tempfile.TemporaryDirectory(
    prefix=f'.partial-{path.name}-', dir=path.parent
  ) as folder:
    partial = pathlib.Path(folder, path.name)
    yield partial
    os.replace(partial, path)


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
  tempfile.TemporaryDirectory(prefix='.partial-probe-', dir=there).cleanup()
