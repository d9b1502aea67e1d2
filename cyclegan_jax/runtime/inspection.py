"""A checkpoint looked at without JAX, which would take the devices of a run.

Arrays are read some at a time by TensorStore, which Orbax keeps them in.
"""

from concurrent import futures
import json
import os
import pathlib
from typing import Any
from typing import NamedTuple

import tensorstore

from cyclegan_jax.runtime import digests

_META = pathlib.Path('meta', 'metadata')
_COMMITTED = '_CHECKPOINT_METADATA'


class Look(NamedTuple):
  """What can be told of a checkpoint from outside.

  Attributes:
    meta: what JSON holds of it; nothing if that is damaged.
    whole: whether everything is as it was written.
    size: of its files, bytes.
    saved: when, seconds since 1970.
  """

  meta: dict[str, Any]
  whole: bool
  size: int
  saved: float


def look(path: pathlib.Path) -> Look | None:
  """Reads all of a checkpoint, and says whether it is whole.

  Args:
    path: of its folder. Of one that an older version wrote, which has no
      digests, only what JSON holds is read.

  Returns:
    What is found; None if a run has deleted it meanwhile.
  """
  try:
    return _look(path)
  except FileNotFoundError:
    if path.exists():
      raise
    return None


def _look(path):
  size = sum(each.stat().st_size for each in path.rglob('*') if each.is_file())
  meta, whole = {}, True
  try:
    told = json.loads((path / _META).read_text())
    digests.check_meta(told)
    meta = told if told['config'] else {}
    _check_arrays(path, meta.get(digests.KEY, {}))
  except Exception:  # of any type: what damage looks like
    whole = False
    path.stat()  # unless it is gone
  return Look(meta, whole, size, _date(path))


def _check_arrays(path, known):
  places = [place for place in known if '/' in place]  # the rest is no array
  with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    for place, found in zip(
      places, pool.map(lambda each: _digest(path, each), places), strict=True
    ):
      if found != known[place]:
        raise ValueError(f'{place} is not what was written')


def _digest(path, place):
  tree, _, name = place.partition('/')
  spec = {
    'driver': 'zarr',
    'kvstore': {
      'driver': 'ocdbt',
      'base': (path.absolute() / tree).as_uri() + '/',
      'path': name.replace('/', '.') + '/',
    },
  }
  array = tensorstore.open(spec, read=True).result().read().result()
  return digests.of_array(array)


def _date(path):
  """A copy has other dates than what was copied; it says so itself."""
  try:
    said = json.loads((path / _COMMITTED).read_text())
    return said['commit_timestamp_nsecs'] / 1e9
  except (OSError, ValueError, KeyError, TypeError):
    return path.stat().st_mtime
