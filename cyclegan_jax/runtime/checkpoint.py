"""One checkpoint, by Orbax: trees of arrays by name, and what is no array.

It is written to a temporary folder and renamed, so what has a number for a name
is complete; and it holds a digest of every array, so what has changed on the
disk since is not taken for whole.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import errno
import pathlib
import sys
import threading
import time
from typing import Any
import warnings

import jax
import numpy as np
from orbax import checkpoint as ocp

from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax.runtime import digests

# Orbax counts its operations in one place: two that write at once wait for each
# other's signals, and time out.
_ONE_AT_A_TIME = threading.Lock()
# It may be whole, and be read another time.
_PASSING = (errno.EACCES, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT)
_LATE_SECONDS = 0.1  # in which the threads of what has failed come to an end
# One process writes and reads; the others of a run wait for nobody there.
_ALONE = ocp.options.MultiprocessingOptions(
  primary_host=0, active_processes={0}, barrier_sync_key_prefix='checkpoint'
)


@contextlib.contextmanager
def failing_quietly():
  """Within, what fails is told by its exception and by nothing else.

  At the first array that cannot be read or written Orbax closes its loop, which
  TensorStore tells of each of the others all the same: a traceback apiece, from
  threads of its own. And it complains of coroutines that it never came to.
  """
  tell = sys.unraisablehook
  failed = False

  def tell_others(unraisable):
    nonlocal failed
    if str(unraisable.exc_value) == 'Event loop is closed':
      failed = True
    else:
      tell(unraisable)

  sys.unraisablehook = tell_others
  try:
    with warnings.catch_warnings():
      warnings.filterwarnings('ignore', 'coroutine .* was never awaited')
      yield
  except BaseException:  # an interrupt too
    failed = True
    raise
  finally:
    if failed:
      time.sleep(_LATE_SECONDS)
    sys.unraisablehook = tell


def write(path: pathlib.Path, trees: Mapping[str, Any], meta: dict):
  """Writes a checkpoint: all of it or nothing.

  Args:
    path: of its folder, which is not there yet.
    trees: of NumPy arrays, by name, none empty.
    meta: anything JSON can hold.
  """
  items: dict[str, Any] = {
    name: ocp.args.StandardSave(tree) for name, tree in trees.items()
  }
  meta = digests.add(meta, _digest(trees))
  options = ocp.CompositeOptions(multiprocessing_options=_ALONE)
  with (
    _ONE_AT_A_TIME,
    ocp.Checkpointer(
      ocp.CompositeCheckpointHandler(composite_options=options),
      multiprocessing_options=_ALONE,
    ) as checkpointer,
  ):
    checkpointer.save(
      path, args=ocp.args.Composite(**items, meta=ocp.args.JsonSave(meta))
    )


def read_meta(path: pathlib.Path) -> dict:
  """What JSON holds of the checkpoint in a folder.

  Raises:
    UserError: if it is damaged.
  """
  with (
    _naming_damage(path),
    ocp.Checkpointer(
      ocp.JsonCheckpointHandler(multiprocessing_options=_ALONE),
      multiprocessing_options=_ALONE,
    ) as checkpointer,
  ):
    meta = checkpointer.restore(path / 'meta')
    digests.check_meta(meta)
    return meta


def read(
  path: pathlib.Path, like: Mapping[str, Any]
) -> tuple[dict, dict[str, Any]]:
  """What JSON holds of a checkpoint, and trees by name, on the host.

  Args:
    path: of its folder, written on any number of devices.
    like: trees of arrays, or of shapes and types; of each, what there is is
      all that is read.

  Raises:
    UserError: if it is damaged or holds others.
  """
  meta = read_meta(path)
  known = meta.get(digests.KEY)  # none of an older version
  handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=_ALONE)
  with (
    _naming_damage(path),
    ocp.Checkpointer(handler, multiprocessing_options=_ALONE) as checkpointer,
  ):
    trees = {
      name: checkpointer.restore(
        path / name,
        args=ocp.args.PyTreeRestore(
          item=jax.tree.map(_describe, tree),
          restore_args=jax.tree.map(_to_numpy, tree),
          partial_restore=True,  # of a network without Adam's moments
        ),
      )
      for name, tree in like.items()
    }
    if jax.tree.map(np.shape, trees) != jax.tree.map(np.shape, dict(like)):
      raise ValueError('the shapes are others')
    for name, digest in _digest(trees).items():
      if known is not None and known[name] != digest:
        raise ValueError(f'{name} is not what was written')
  return meta, trees


def read_trees(path: pathlib.Path, like: Mapping[str, Any]) -> dict[str, Any]:
  """The trees alone, as `read`."""
  return read(path, like)[1]


def read_params(path: pathlib.Path, names: Sequence[str], like):
  """The parameters in one tree of a checkpoint, on the host.

  Args:
    path: of its folder.
    names: of trees that have parameters; of the first that is there.
    like: a tree of shapes and types.

  Raises:
    UserError: if it is damaged.
  """
  name = next((each for each in names if (path / each).exists()), names[-1])
  return read_trees(path, {name: {'params': like}})[name]['params']


def _digest(trees):
  """Digests of arrays by their place in the trees."""
  return {
    jax.tree_util.keystr(place, simple=True, separator='/'): digests.of_array(
      np.asarray(leaf)
    )
    for place, leaf in jax.tree_util.tree_leaves_with_path(dict(trees))
  }


def _describe(leaf):
  return jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype)


def _to_numpy(leaf):
  return ocp.RestoreArgs(restore_type=np.ndarray, dtype=leaf.dtype)


@contextlib.contextmanager
def _naming_damage(path):
  """What cannot be read inside is told as damage of this checkpoint."""
  try:
    with failing_quietly():
      yield
  except MemoryError:
    raise
  except Exception as error:  # of many lines, and of any type
    if getattr(error, 'errno', None) in _PASSING:
      raise
    if 'PERMISSION_DENIED' in str(error):
      raise PermissionError(errno.EACCES, 'Permission denied', path) from error
    older = [
      each.name
      for each in files.list_numbered(path.parent)
      if int(each.name) < int(path.name)
    ]
    advice = 'and there is no older one: train again'
    if older:
      advice = f'move it away, and the one of step {older[-1]} is used'
    raise errors.UserError(
      f'checkpoint {path} is damaged, or of other networks; {advice}'
    ) from error
