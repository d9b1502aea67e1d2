"""A model to hand on: one zip file with generators, and what is said of them.

Arrays are kept as safetensors, which no program is hidden in; nothing is ever
unpacked to a disk. The same content gives the same bytes.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import contextlib
import errno
import json
import pathlib
from typing import Any
import zipfile

import numpy as np
from safetensors import numpy as safetensors

from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax.runtime import digests

_FORMAT = 'cyclegan_jax model 1'
_META, _NOTICE, _CARD = 'meta.json', 'NOTICE.txt', 'MODEL_CARD.md'
_ARRAYS = '.safetensors'
_MOST_META = 2**26  # bytes; a patient takes 22
_MOST_HEADER = 2**20  # bytes that safetensors say of their arrays
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # that a zip file can tell
# It may be whole, and be read another time.
_PASSING = (errno.EACCES, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT)


def write(
  path: pathlib.Path,
  networks: Iterable[tuple[str, Mapping[str, np.ndarray]]],
  meta: Mapping[str, Any],
  *,
  notice: str,
  card: bytes | None = None,
):
  """Writes a model: all of it or nothing.

  Args:
    path: of the file, replaced if it is there.
    networks: names and arrays by name, in the order of names; one is in memory
      at a time.
    meta: anything JSON can hold.
    notice: for whoever opens it.
    card: what is told of the model, if it has been written.
  """
  found = {}
  with files.replace_file(path) as partial, zipfile.ZipFile(partial, 'w') as zf:
    if card is not None:
      zf.writestr(_member(_CARD), card)
    zf.writestr(_member(_NOTICE), notice)
    for name, arrays in networks:
      zf.writestr(_member(name + _ARRAYS), safetensors.save(dict(arrays)))
      for each, array in arrays.items():
        found[f'{name}/{each}'] = digests.of_array(array)
    text = json.dumps(
      digests.add({**meta, 'format': _FORMAT}, found), sort_keys=True
    )
    zf.writestr(_member(_META), text)


def read_meta(path: pathlib.Path) -> dict:
  """What JSON holds of the model in a file.

  Raises:
    UserError: if the file is another, or damaged.
  """
  with _opened(path) as zf:
    return _read_meta(zf)


def read_arrays(
  path: pathlib.Path, name: str, like: Mapping[str, Any]
) -> dict[str, np.ndarray]:
  """The arrays of one network by name, on the host.

  Args:
    path: of the file.
    name: of the network.
    like: of the shapes and types that are to be there, and no others.

  Raises:
    UserError: if the file is another, or damaged, or of other networks.
  """
  expected = sum(
    int(np.prod(each.shape)) * np.dtype(each.dtype).itemsize
    for each in like.values()
  )
  with _opened(path) as zf:
    known = _read_meta(zf)[digests.KEY]
    member = zf.getinfo(name + _ARRAYS)
    if member.file_size > expected + _MOST_HEADER:
      raise ValueError(f'{name} is larger than its networks')
    arrays = safetensors.load(zf.read(member))
    described = [
      {each: (tuple(x.shape), np.dtype(x.dtype)) for each, x in of.items()}
      for of in (arrays, like)
    ]
    if described[0] != described[1]:
      raise ValueError(f'{name} is of other networks')
    for each, array in arrays.items():
      if known[f'{name}/{each}'] != digests.of_array(array):
        raise ValueError(f'{name}/{each} is not what was written')
  return arrays


def _read_meta(zf):
  member = zf.getinfo(_META)
  if member.file_size > _MOST_META:
    raise ValueError('meta is too large')
  meta = json.loads(zf.read(member))
  if meta['format'] != _FORMAT:
    raise ValueError('it is of another format')
  digests.check_meta(meta)
  return meta


def _member(name):
  """The same everywhere, any day; not compressed, for weights are noise."""
  member = zipfile.ZipInfo(name, _FIRST_DAY)
  member.create_system = 3
  member.external_attr = 0o644 << 16
  return member


@contextlib.contextmanager
def _opened(path):
  """The zip file, if it has nothing in it that `write` would not have put."""
  with _naming_damage(path), zipfile.ZipFile(path) as zf:
    members = zf.infolist()
    names = [member.filename for member in members]
    strange = [
      each
      for each in set(names) - {_META, _NOTICE, _CARD}
      if '/' in each or '\\' in each or not each.endswith(_ARRAYS)
    ]
    # Nothing is compressed, so that nothing unpacks to more than the file.
    stored = all(
      member.compress_type == zipfile.ZIP_STORED
      and member.compress_size == member.file_size
      for member in members
    )
    whole = sum(member.file_size for member in members) < path.stat().st_size
    if strange or len(set(names)) < len(names) or not stored or not whole:
      raise ValueError('it was not written by --mode=pack')
    yield zf


@contextlib.contextmanager
def _naming_damage(path):
  """What cannot be read inside is told as damage of this file."""
  try:
    yield
  except MemoryError:
    raise
  except Exception as error:  # of zipfile, json and safetensors: of any type
    if getattr(error, 'errno', None) in _PASSING:
      raise
    raise errors.UserError(
      f'{path} is no model of --mode=pack, or is damaged; ask for it again, or '
      'pack it again'
    ) from error
