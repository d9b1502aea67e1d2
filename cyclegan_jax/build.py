"""From a config to the networks of a run, their state and its steps."""

from collections.abc import Callable
import functools
import math

from flax import linen as nn
import jax
import ml_collections
import numpy as np
import optax

from cyclegan_jax import errors
from cyclegan_jax import precision
from cyclegan_jax import rules
from cyclegan_jax import stored_config
from cyclegan_jax.contrast import crops
from cyclegan_jax.contrast import fit
from cyclegan_jax.contrast import layer
from cyclegan_jax.gan import schedules
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import steps
from cyclegan_jax.mri import channels
from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators

GENERATORS = {'unet': generators.UNet, 'resnet': generators.ResNet}


def names(config: ml_collections.ConfigDict) -> dict[str, str]:
  """What people call domains 'a' and 'b'."""
  return dict(zip('ab', config.domains, strict=True))


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
  size = config.crop_size or config.image_size

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
  cut = None
  levelled = stored_config.input_channels(config) == channels.LEVELLED
  if config.crop_size:
    cut = functools.partial(
      crops.cut,
      size=config.crop_size,
      deviation=fit.SURROUNDINGS * config.image_size,
      placed=config.generator.get('contrast_map', False),
      levelled=levelled,
    )
  elif levelled:
    cut = crops.part

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
        cut=cut,
      )

  return step


def _generator(config):
  sides = _sides(config)
  fields = dict(config.generator)
  rules.check_generator(fields)
  network = fields.pop('network')
  if fields.get('levels') == 0:
    common = math.gcd(*sides.values())
    fields['levels'] = min((common & -common).bit_length() - 1, 8)
  fields.pop('contrast_look', None)
  learns = fields.pop('contrast_learns', False)
  if fields.pop('contrast_map', False):
    fields['start'] = layer.ContrastLayer(
      **contrast_settings(config), learns=learns, name='contrast_map'
    )
  module = GENERATORS[network](
    **fields, channels=config.channels, dtype=config.compute_dtype
  )
  for name, side in sides.items():
    try:
      if network == 'unet' and module.levels < 2:
        raise ValueError(
          f'{side} x {side} allows no U-Net; '
          'take a multiple of 32, at best a power of two'
        )
      generators.check_sides((side, side), module.halvings)
    except ValueError as error:
      raise errors.UserError(f'{name}: {error}') from None
  return module


def _sides(config):
  """Of what the networks see, in use and in training, by their fields."""
  sides = {'image_size': config.image_size}
  if config.crop_size:
    sides['crop_size'] = config.crop_size
  return sides


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
  for name, side in _sides(config).items():
    if side < smallest:
      raise errors.UserError(
        f'{name} {side} is too small for a discriminator of {module.layers} '
        f'layers: at least {smallest}, or fewer --config.discriminator.layers'
      )
  return module
