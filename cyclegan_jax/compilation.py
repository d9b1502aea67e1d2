"""The step of a run as a program for its devices, and what memory it takes."""

import contextlib
import functools
import math
import pathlib
from typing import Any

import jax
import ml_collections
import numpy as np

from cyclegan_jax import build
from cyclegan_jax import checks
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import stored_config
from cyclegan_jax.runtime import cache_folders
from cyclegan_jax.runtime import devices
from cyclegan_jax.runtime import host
from cyclegan_jax.runtime import processes
from cyclegan_jax.runtime import shelf as shelf_lib

_LESS_MEMORY = (
  'try --config.remat=True, a larger --config.accumulate_steps, '
  '--config.compute_dtype=bfloat16 on an accelerator, or a smaller '
  '--config.batch_size, --config.image_size or --config.generator.features'
)


def open_shelf(config: ml_collections.ConfigDict) -> shelf_lib.Shelf | None:
  """Where what is traced is kept, with the compiled programs, if anywhere.

  For a process that has changed nothing of this package: see `shelf`.
  """
  keep(config)
  folder = cache_folders.beside_compiled('traced')
  return folder and shelf_lib.open_shelf(folder)


def check_room(
  config: ml_collections.ConfigDict, shelf: shelf_lib.Shelf | None = None
):
  """Refuses what no device has room for, before anything of it is made.

  A lower bound, from shapes alone: what is kept of every parameter, the pools,
  and the largest output of a layer.

  Args:
    config: of the run.
    shelf: where what was counted is looked for, and kept.

  Raises:
    UserError: naming both sizes; or if the networks do not fit the images.
  """
  size = devices.memory_of_device()
  if not size:
    return
  counted = shelf_lib.recall(
    shelf, 'room', checks.shared_fields(config), lambda: _count_bytes(config)
  )
  needed = int(counted)
  if needed > size:
    raise errors.UserError(
      f'these networks and images take at least {needed / 2**30:,.0f} GiB of '
      f'the {size / 2**30:,.1f} GiB of a device: {_LESS_MEMORY}'
    )


def keep(
  config: ml_collections.ConfigDict, workdir: pathlib.Path | None = None
):
  """Keeps compiled programs for the next start.

  Args:
    config: says where.
    workdir: of a training, which keeps its own if it is to be deterministic:
      another compilation may choose other ways to compute the same.
  """
  chosen = config.compile_cache
  if config.deterministic and workdir:
    chosen = str(workdir / 'compiled')
  cache_folders.keep_compiled(chosen)


def compile_step(
  config: ml_collections.ConfigDict,
  state,
  key,
  *,
  steps_per_epoch: int,
  shelf: shelf_lib.Shelf | None = None,
):
  """The step of a run, compiled for its devices; says what memory it takes.

  Args:
    config: of the run.
    state: of it, as all that come.
    key: of it.
    steps_per_epoch: of it; with the config all that decides what a step does.
    shelf: where the traced step is looked for, and kept.

  Raises:
    UserError: if the devices have too little.
    errors.Interrupted: if a stop was asked for meanwhile.
  """
  # The compiler swallows a KeyboardInterrupt, or dies of it.
  with processes.listen('once this is compiled') as stopped:
    step = _compile(config, state, key, steps_per_epoch, shelf)
    # What devices do together for the first time waits 30 s for the last.
    processes.meet('compiled')
    stop = stopped()
  if stop:
    raise errors.Interrupted(
      f'interrupted before step {int(state.step) + 1}; the same command starts '
      'there'
    )
  return step


@contextlib.contextmanager
def explain_memory():
  """Within, a device that runs out of memory is a mistake with a way out."""
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    raise errors.UserError(
      f'the device has too little memory for a step; {_LESS_MEMORY}'
    ) from None


def _count_bytes(config):
  """At least so many, in digits."""
  side = config.image_size
  shape = (1, side, side, config.channels)
  image = jax.ShapeDtypeStruct(shape, np.float32)
  # Weights, gradients and Adam's two moments.
  copies = {'discriminator': 4, 'generator': 4 + (config.ema_decay > 0)}
  needed = largest = 0
  for name, module in build.networks(config).items():
    init = functools.partial(module.init, capture_intermediates=True)
    shapes = jax.eval_shape(init, jax.random.key(0), image)
    parameters = jax.tree.leaves(shapes['params'])
    needed += 2 * copies[name] * sum(map(_bytes_of, parameters))
    outputs = map(_bytes_of, jax.tree.leaves(shapes['intermediates']))
    largest = max(largest, *outputs)
  needed += 2 * config.pool_size * _bytes_of(image)
  parts = jax.device_count() * config.accumulate_steps
  needed += largest * -(-config.batch_size // parts)
  return b'%d' % needed


def _compile(config, state, key, steps_per_epoch, shelf):
  rows = config.batch_size // jax.process_count()
  channels = stored_config.input_channels(config)
  shape = (rows, config.image_size, config.image_size, channels)
  batch = {domain: np.zeros(shape, np.float32) for domain in 'ab'}
  console.say('compiling; a later start with the same sizes is quicker')
  with explain_memory():
    made_of = [
      checks.shared_fields(config),
      steps_per_epoch,
      _describe((state, batch, key)),
    ]
    compiled = devices.compile_step(
      build.train_step(config),
      state,
      batch,
      key,
      kind=config.parallel,
      deterministic=config.deterministic,
      recall=functools.partial(shelf_lib.recall, shelf, 'step', made_of),
    )
  host.release()
  needed, size = devices.memory_needed(compiled), devices.memory_of_device()
  if needed is None:
    return compiled
  line = f'a step takes {needed / 2**30:.1f} GiB'
  if size:
    line += f' of {size / 2**30:.1f} GiB'
  if size and needed >= size:
    raise errors.UserError(f'{line}, and does not fit: {_LESS_MEMORY}')
  console.say(f'memory: {line}')
  return compiled


def _describe(tree: Any) -> list:
  """Places, shapes and types of what is in a tree."""
  return [
    [jax.tree_util.keystr(path), str(jax.typeof(leaf))]
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  ]


def _bytes_of(array):
  return math.prod(array.shape) * array.dtype.itemsize
