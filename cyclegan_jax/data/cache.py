"""Files derived from other files, kept until those change.

An entry is a pair: `<key>.f32`, the data, and `<key>.json`, written last, what
is known of it. Entries can be deleted whenever no run is using them.
"""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import hashlib
import json
import os
import pathlib
from typing import Any

from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax.mri.formats import limits


def hash_text(*parts: Any) -> str:
  """A short name for what these are, the same in every run."""
  return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def hash_files(folder: pathlib.Path, paths: Sequence[pathlib.Path]) -> str:
  """A hash of the contents of files, in their order.

  It is remembered in `folder`, so that files are read again only when their
  size or times have changed.

  Raises:
    UserError: naming a file that cannot be read, or is none but a pipe.
  """
  for path in paths:
    limits.check_file(pathlib.Path(path))
  try:
    stats = [(os.path.abspath(path), os.stat(path)) for path in paths]
  except OSError as error:
    raise errors.UserError(
      f'{error.filename} cannot be read: {error.strerror}'
    ) from None
  # ctime too: archives set mtime to what it was elsewhere.
  seen = hash_text(
    *(
      (path, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino)
      for path, s in stats
    )
  )
  memo = folder / f'{seen}.hash'
  with contextlib.suppress(OSError):
    return memo.read_text()
  total = hashlib.sha256()
  for path in paths:
    try:
      with open(path, 'rb') as file:
        total.update(hashlib.file_digest(file, 'sha256').digest())
    except OSError as error:
      raise errors.UserError(
        f'{path} cannot be read: {error.strerror}'
      ) from None
  content = total.hexdigest()[:32]
  with files.replace_file(memo) as partial:
    partial.write_text(content)
  return content


def fetch(
  folder: pathlib.Path, key: str, make: Callable[[pathlib.Path], dict]
) -> tuple[pathlib.Path, dict]:
  """An entry, made if it is not there.

  Args:
    folder: of the cache.
    key: of the entry.
    make: writes the data to the path it is given and returns what JSON can
      hold; called only if need be.

  Returns:
    The path of the data and what `make` returned.
  """
  data, facts = folder / f'{key}.f32', folder / f'{key}.json'
  with contextlib.suppress(OSError, ValueError):
    content = json.loads(facts.read_text())
    if data.exists():
      return data, content
  with files.replace_file(data) as partial:
    content = make(partial)
  with files.replace_file(facts) as partial:
    partial.write_text(json.dumps(content))
  return data, json.loads(facts.read_text())
