"""From a config to what a run is made of: the last place that sees one."""

from collections.abc import Callable
from collections.abc import Iterator
import pathlib

from flax import linen as nn
import jax
import ml_collections
import numpy as np
import optax

from cyclegan_jax import errors
from cyclegan_jax import precision
from cyclegan_jax import rules
from cyclegan_jax import stored_config
from cyclegan_jax.contrast import fit
from cyclegan_jax.contrast import layer
from cyclegan_jax.data import batches as batches_lib
from cyclegan_jax.data import sources
from cyclegan_jax.gan import schedules
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import steps
from cyclegan_jax.mri import framing
from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators
from cyclegan_jax.runtime import cache_folders

_NAMED = 4  # slices of a batch that a message names

GENERATORS = {'unet': generators.UNet, 'resnet': generators.ResNet}


def open_data(config: ml_collections.ConfigDict) -> sources.Data:
  """Opens the scans of a config, or makes the simulated heads.

  Raises:
    UserError: for folders and files that cannot be used.
  """
  data = config.data
  return sources.open_data(
    find_sources(config),
    source_settings(config),
    cache=slice_cache(config),
    min_foreground=data.min_foreground,
    slice_range=data.slice_range,
    simulated=not data.train_a,
    channels=config.channels,
  )


def find_sources(config: ml_collections.ConfigDict) -> dict[str, str]:
  """Places of scans by `sources.NAMES`, or of the simulated heads."""
  chosen = {
    name: config.data[name] for name in sources.NAMES if config.data[name]
  }
  return chosen or _make_phantom(config)


def source_settings(
  config: ml_collections.ConfigDict,
) -> dict[str, framing.SliceSettings]:
  """How scans become slices, by `sources.NAMES`; larger where cropped."""
  zooms = {'train': config.data.zoom, 'test': 1.0}
  return {
    name: slice_settings(config, name[-1], zoom=zooms[name[:-2]])
    for name in sources.NAMES
  }


def slice_cache(config: ml_collections.ConfigDict) -> pathlib.Path:
  """The folder of what has been decoded."""
  return _cache(config) / 'slices'


def train_batches(
  config: ml_collections.ConfigDict,
  data: sources.Data,
  *,
  start: int = 0,
  process: int = 0,
  processes: int = 1,
) -> Iterator[dict[str, np.ndarray]]:
  """An endless stream of {'a', 'b'}, each [rows, H, W, C] in [-1, 1].

  Args:
    config: of the run.
    data: what it learns from.
    start: steps that are done.
    process: which rows of every batch to read.
    processes: among which the batch divides.
  """
  return batches_lib.train_batches(
    data.train,
    image_size=config.image_size,
    batch_size=config.batch_size,
    seed=config.seed,
    threads=config.data.threads,
    start=start,
    process=process,
    processes=processes,
  )


def name_slices(
  config: ml_collections.ConfigDict, data: sources.Data, step: int
) -> str:
  """The slices in the batch of a step, for people."""
  named = batches_lib.name_slices(
    data.train, step, batch_size=config.batch_size, seed=config.seed
  )
  shown = []
  for domain, slices in named.items():
    more = f' and {len(slices) - _NAMED} more' * (len(slices) > _NAMED)
    shown.append(
      f'{config.domains["ab".index(domain)]} {", ".join(slices[:_NAMED])}{more}'
    )
  return '; '.join(shown)


def names(config: ml_collections.ConfigDict) -> dict[str, str]:
  """What people call domains 'a' and 'b'."""
  return dict(zip('ab', config.domains, strict=True))


def test_sources(config: ml_collections.ConfigDict) -> tuple[str, str]:
  """The held-out scans of both domains.

  Raises:
    UserError: if the run has none.
  """
  if config.data.test_a == stored_config.HIDDEN:
    raise errors.UserError(
      'config.json, which alone tells where the held-out scans lie, is not '
      'there or cannot be read: name them, --source_a=DIR --source_b=DIR'
    )
  if config.data.test_a:
    return config.data.test_a, config.data.test_b
  if config.data.train_a:
    raise errors.UserError(
      'the run has no held-out scans: name some, --source_a=DIR --source_b=DIR'
    )
  simulated = _make_phantom(config)
  return simulated['test_a'], simulated['test_b']


def slice_settings(
  config: ml_collections.ConfigDict, domain: str, *, zoom: float = 1.0
) -> framing.SliceSettings:
  """How scans of a domain become slices; `zoom` makes them larger."""
  data = config.data
  return framing.SliceSettings(
    size=round(zoom * config.image_size),
    spacing=data.spacing / zoom,
    planes=tuple(data.planes),
    intensity=data[f'intensity_{domain}'],
    window=tuple(data[f'window_{domain}']),
    index=None if data.volume < 0 else data.volume,
  )


def schedule(
  config: ml_collections.ConfigDict, *, steps_per_epoch: int
) -> optax.Schedule:
  """The learning rate of every update."""
  return schedules.hold_then_decay(
    config.optimizer.learning_rate,
    num_steps=config.num_epochs * steps_per_epoch,
    decay_steps=config.decay_epochs * steps_per_epoch,
  )


def networks(config: ml_collections.ConfigDict) -> dict[str, nn.Module]:
  """The modules 'generator' and 'discriminator'.

  Raises:
    UserError: if `image_size` does not fit one of them, or the fields of a
      generator are those of another.
  """
  return dict(
    generator=_generator(config), discriminator=_discriminator(config)
  )


def generator_shapes(config: ml_collections.ConfigDict):
  """The shapes and types of a generator's parameters, as a tree."""
  size = config.image_size
  image = jax.ShapeDtypeStruct((1, size, size, config.channels), np.float32)
  module = networks(config)['generator']
  return jax.eval_shape(module.init, jax.random.key(0), image)['params']


def create_state(
  config: ml_collections.ConfigDict,
  modules: dict[str, nn.Module],
  schedule: optax.Schedule,
) -> Callable[[], state_lib.CycleGANState]:
  """A function that makes the fresh state of a run."""
  # Kingma and Ba 2015
  tx = optax.adam(
    schedule, b1=config.optimizer.beta1, b2=config.optimizer.beta2
  )
  size = config.image_size

  def create():
    return state_lib.create_state(
      jax.random.key(config.seed),
      **modules,
      tx=tx,
      image_shape=(size, size, config.channels),
      pool_size=config.pool_size,
      averaged=config.ema_decay > 0,
    )

  return create


def train_step(config: ml_collections.ConfigDict) -> Callable:
  """`step(state, batch, key, *, axis_name)` as the config has it."""
  objective = steps.Objective(**config.loss)

  def step(state, batch, key, *, axis_name=None):
    with precision.choose(config.precision):
      return steps.train_step(
        state,
        batch,
        key,
        objective=objective,
        axis_name=axis_name,
        parts=config.accumulate_steps,
        remat=config.remat,
        ema_decay=config.ema_decay,
      )

  return step


def _generator(config):
  fields = dict(config.generator)
  rules.check_generator(fields)
  network = fields.pop('network')
  if fields.get('levels') == 0:
    twos = (config.image_size & -config.image_size).bit_length() - 1
    fields['levels'] = min(twos, 8)
  fields.pop('contrast_look', None)
  if fields.pop('contrast_map', False):
    fields['start'] = layer.ContrastLayer(
      **contrast_settings(config), name='contrast_map'
    )
  module = GENERATORS[network](
    **fields, channels=config.channels, dtype=config.compute_dtype
  )
  try:
    if network == 'unet' and module.levels < 2:
      raise ValueError(
        f'{config.image_size} x {config.image_size} allows no U-Net; '
        'take a multiple of 32, at best a power of two'
      )
    generators.check_sides((config.image_size,) * 2, module.halvings)
  except ValueError as error:
    raise errors.UserError(f'image_size: {error}') from None
  return module


def contrast_settings(config: ml_collections.ConfigDict) -> dict:
  """The 'deviation', in pixels, and the 'look' of a config's contrast maps."""
  return {
    'deviation': fit.SURROUNDINGS * config.image_size,
    'look': config.generator.contrast_look,
  }


def _discriminator(config):
  module = discriminators.PatchDiscriminator(
    **config.discriminator, dtype=config.compute_dtype
  )
  # Every strided layer halves, the two others take one pixel each.
  smallest = 3 * 2**module.layers
  if config.image_size < smallest:
    raise errors.UserError(
      f'image_size {config.image_size} is too small for a discriminator of '
      f'{module.layers} layers: at least {smallest}, or fewer '
      '--config.discriminator.layers'
    )
  return module


def _cache(config) -> pathlib.Path:
  return cache_folders.make('data.cache', config.data.cache)


def _make_phantom(config) -> dict[str, str]:
  """Folders of the simulated heads by name, made if they are not there."""
  return sources.make_phantom(
    _cache(config),
    image_size=config.image_size,
    seed=config.seed,
    **config.phantom,
  )
