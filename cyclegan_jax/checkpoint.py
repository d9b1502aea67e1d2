"""All of Orbax: one item for each network, the pools, the data and the rest.

A checkpoint is written to a temporary folder and renamed, so what has a number
for a name is complete.
"""

import pathlib

from grain import checkpoint as grain_checkpoint
import jax
from orbax import checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from cyclegan_jax import state as state_lib


def open_checkpoints(
  workdir: pathlib.Path, *, keep: int
) -> ocp.CheckpointManager:
  """The checkpoints under `workdir`, of which the `keep` newest are kept."""
  options = ocp.CheckpointManagerOptions(
    preservation_policy=checkpoint_managers.LatestN(keep),
    cleanup_tmp_directories=True,
  )
  return ocp.CheckpointManager(
    (workdir / 'checkpoints').absolute(), options=options
  )


def save(
  manager: ocp.CheckpointManager,
  state: state_lib.CycleGANState,
  batches,
  meta: dict,
):
  """Saves under the state's step; does nothing if that is there already.

  Args:
    manager: from `open_checkpoints`.
    state: may be donated once this returns.
    batches: the data iterator; its next batch is the one after `state`.
    meta: anything JSON can hold.
  """
  step = int(state.step)
  if step in manager.all_steps():
    return
  networks = {
    name: ocp.args.StandardSave(getattr(state, name))
    for name in state_lib.NETWORKS
  }
  manager.save(
    step,
    args=ocp.args.Composite(
      **networks,
      pools=ocp.args.StandardSave({'a': state.pool_a, 'b': state.pool_b}),
      batches=grain_checkpoint.CheckpointSave(batches),
      meta=ocp.args.JsonSave(meta),
    ),
  )


def restore_meta(manager: ocp.CheckpointManager) -> dict:
  """The `meta` of the newest checkpoint."""
  args = ocp.args.Composite(meta=ocp.args.JsonRestore())
  return manager.restore(manager.latest_step(), args=args)['meta']


def restore(
  manager: ocp.CheckpointManager, like: state_lib.CycleGANState, batches
) -> state_lib.CycleGANState:
  """The newest checkpoint, on the devices that `like` is on.

  Args:
    manager: from `open_checkpoints`.
    like: a state of the same networks; it gives shapes, types and devices.
    batches: the data iterator, set to continue where the saved one stood.

  Raises:
    ValueError: if the checkpoint holds other networks.
  """

  def target(tree):
    return ocp.args.StandardRestore(
      jax.tree.map(ocp.utils.to_shape_dtype_struct, tree)
    )

  networks = {name: target(getattr(like, name)) for name in state_lib.NETWORKS}
  items = manager.restore(
    manager.latest_step(),
    args=ocp.args.Composite(
      **networks,
      pools=target({'a': like.pool_a, 'b': like.pool_b}),
      batches=grain_checkpoint.CheckpointRestore(batches),
    ),
  )
  return like.replace(
    **{name: items[name] for name in state_lib.NETWORKS},
    pool_a=items['pools']['a'],
    pool_b=items['pools']['b'],
  )
