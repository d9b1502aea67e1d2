"""All of Orbax: trees by name, the position in the data, and the rest.

A checkpoint is written to a temporary folder and renamed, so what has a number
for a name is complete.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import pathlib
from typing import Any

from grain import checkpoint as grain_checkpoint
import jax
import numpy as np
from orbax import checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from cyclegan_jax import errors
from cyclegan_jax import files

# Folders of a workdir: to go on from, and the one `monitor` thinks best.
KINDS = {'newest': 'checkpoints', 'best': 'best'}


def open_checkpoints(
  workdir: pathlib.Path, kind: str, *, keep: int
) -> ocp.CheckpointManager:
  """Those of one of `KINDS` under `workdir`; the `keep` newest are kept."""
  options = ocp.CheckpointManagerOptions(
    preservation_policy=checkpoint_managers.LatestN(keep),
    cleanup_tmp_directories=True,
  )
  return ocp.CheckpointManager(
    (workdir / KINDS[kind]).absolute(), options=options
  )


def save(
  manager: ocp.CheckpointManager,
  step: int,
  trees: Mapping[str, Any],
  batches,
  meta: dict,
):
  """Saves under the number of a step.

  Args:
    manager: from `open_checkpoints`.
    step: done.
    trees: of arrays, by name, none empty; they may be donated once this
      returns.
    batches: the data iterator; its next batch is the one after `step`. None
      for a checkpoint that training does not go on from.
    meta: anything JSON can hold, not to be changed any more.
  """
  items: dict[str, Any] = {
    name: ocp.args.StandardSave(tree) for name, tree in trees.items()
  }
  if batches is not None:
    items['batches'] = grain_checkpoint.CheckpointSave(batches)
  manager.save(
    step, args=ocp.args.Composite(**items, meta=ocp.args.JsonSave(meta))
  )


def forget_after(manager: ocp.CheckpointManager, step: int):
  """Deletes the checkpoints after `step`, which training comes by again."""
  for later in manager.all_steps():
    if later > step:
      manager.delete(later)


def restore_meta(manager: ocp.CheckpointManager) -> dict:
  """The `meta` of the newest checkpoint.

  Raises:
    UserError: if it is damaged.
  """
  args = ocp.args.Composite(meta=ocp.args.JsonRestore())
  with _naming_damage(_newest(manager)):
    return manager.restore(manager.latest_step(), args=args)['meta']


def restore(
  manager: ocp.CheckpointManager, like: Mapping[str, Any], batches
) -> dict[str, Any]:
  """The trees of the newest checkpoint, on the devices that `like` is on.

  Args:
    manager: from `open_checkpoints`.
    like: trees by name; they give shapes, types and devices.
    batches: the data iterator, set to continue where the saved one stood; None
      for the trees alone.

  Raises:
    UserError: if it is damaged or holds others.
  """
  wanted: dict[str, Any] = {
    name: ocp.args.StandardRestore(
      jax.tree.map(ocp.utils.to_shape_dtype_struct, tree)
    )
    for name, tree in like.items()
  }
  if batches is not None:
    wanted['batches'] = grain_checkpoint.CheckpointRestore(batches)
  with _naming_damage(_newest(manager)):
    items = manager.restore(
      manager.latest_step(), args=ocp.args.Composite(**wanted)
    )
  return {name: items[name] for name in like}


def find(workdir: str | pathlib.Path, kind: str = 'newest') -> pathlib.Path:
  """The folder of the newest checkpoint of one of `KINDS` in a workdir.

  Raises:
    UserError: if there is none.
  """
  folder = pathlib.Path(workdir, KINDS[kind]).absolute()
  steps = files.list_numbered(folder)
  if not steps:
    hint = (
      ': none is chosen before the first evaluation, '
      '--config.evaluate_every_steps; use --checkpoint=newest'
    )
    raise errors.UserError(
      f'{workdir} has no {kind} checkpoint' + (hint if kind == 'best' else '')
    )
  return steps[-1]


def read_meta(path: pathlib.Path) -> dict:
  """The `meta` of the checkpoint in a folder.

  Raises:
    UserError: if it is damaged.
  """
  with (
    _naming_damage(path),
    ocp.Checkpointer(ocp.JsonCheckpointHandler()) as checkpointer,
  ):
    return checkpointer.restore(path / 'meta')


def restore_params(path: pathlib.Path, names: Sequence[str], like):
  """The parameters in one tree of a checkpoint, on the host.

  Args:
    path: of the checkpoint, written on any number of devices.
    names: of trees that have parameters; of the first that is there.
    like: a tree of shapes and types.

  Raises:
    UserError: if it is damaged.
  """
  host = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), like)
  item = next(path / name for name in names if (path / name).exists())
  with _naming_damage(path), ocp.PyTreeCheckpointer() as checkpointer:
    restored = checkpointer.restore(
      item,
      args=ocp.args.PyTreeRestore(
        item={'params': like},
        restore_args={'params': host},
        partial_restore=True,  # without Adam's moments
      ),
    )
  return restored['params']


@contextlib.contextmanager
def _naming_damage(path):
  """What cannot be read inside is told as damage of this checkpoint."""
  try:
    yield
  except (ValueError, OSError, KeyError) as error:  # of many lines
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


def _newest(manager):
  return pathlib.Path(manager.directory, str(manager.latest_step()))
