"""From a config to what a run is made of: the last place that sees one."""

from collections.abc import Callable
import dataclasses
import os
import pathlib

from flax import linen as nn
import jax
import ml_collections
import optax

from cyclegan_jax import errors
from cyclegan_jax import models
from cyclegan_jax import optimizers
from cyclegan_jax import screen
from cyclegan_jax import state as state_lib
from cyclegan_jax import steps
from cyclegan_jax.mri import phantom
from cyclegan_jax.mri import slices

_GENERATORS = {'unet': models.UNet, 'resnet': models.ResNet}


@dataclasses.dataclass(frozen=True)
class Data:
  """What a run trains on and is scored on.

  Attributes:
    train: usable slices by domain, 'a' and 'b'.
    pairs: held-out slices by domain, under the same names; None without any.
    simulated: whether these are the embedded heads.
  """

  train: dict[str, slices.SliceFolder]
  pairs: dict[str, slices.SliceFolder] | None
  simulated: bool

  def fingerprints(self) -> dict[str, str]:
    return {name: folder.fingerprint() for name, folder in self.train.items()}


def open_data(config: ml_collections.ConfigDict) -> Data:
  """Reads the folders of a config once, or makes the simulated heads.

  Raises:
    UserError: for folders and files that cannot be used.
  """
  simulated = not config.data.train_a
  if simulated:
    root = _make_phantom(config)
    folders = {
      name: root / name for name in ('train_a', 'train_b', 'test_a', 'test_b')
    }
  else:
    folders = {
      name: config.data[name]
      for name in ('train_a', 'train_b', 'test_a', 'test_b')
      if config.data[name]
    }

  def scan(name, min_foreground):
    return slices.scan(
      folders[name],
      min_foreground=min_foreground,
      report=screen.report_progress(f'reading data.{name}'),
      warn=screen.say,
    )

  train = {
    domain: scan(f'train_{domain}', config.data.min_foreground)
    for domain in 'ab'
  }
  pairs = None
  if 'test_a' in folders:
    pairs = _pair_up(
      {domain: scan(f'test_{domain}', 0.0) for domain in 'ab'}, train
    )
  return Data(train=train, pairs=pairs, simulated=simulated)


def schedule(
  config: ml_collections.ConfigDict, *, steps_per_epoch: int
) -> optax.Schedule:
  """The learning rate of every update."""
  return optimizers.hold_then_decay(
    config.optimizer.learning_rate,
    num_steps=config.num_epochs * steps_per_epoch,
    decay_steps=config.decay_epochs * steps_per_epoch,
  )


def networks(config: ml_collections.ConfigDict) -> dict[str, nn.Module]:
  """The modules 'generator' and 'discriminator'.

  Raises:
    UserError: if `image_size` does not fit one of them.
  """
  return dict(
    generator=_generator(config), discriminator=_discriminator(config)
  )


def create_state(
  config: ml_collections.ConfigDict,
  modules: dict[str, nn.Module],
  schedule: optax.Schedule,
) -> Callable[[], state_lib.CycleGANState]:
  """A function that makes the fresh state of a run."""
  tx = optimizers.adam(
    schedule, beta1=config.optimizer.beta1, beta2=config.optimizer.beta2
  )
  size = config.image_size

  def create():
    return state_lib.create_state(
      jax.random.key(config.seed),
      **modules,
      tx=tx,
      image_shape=(size, size, 1),
      pool_size=config.pool_size,
    )

  return create


def train_step(config: ml_collections.ConfigDict) -> Callable:
  """`step(state, batch, key, *, axis_name)` with the config's losses."""
  weights = steps.LossWeights(**config.loss)

  def step(state, batch, key, *, axis_name=None):
    return steps.train_step(
      state, batch, key, weights=weights, axis_name=axis_name
    )

  return step


def _generator(config):
  fields = dict(config.generator)
  network = fields.pop('network')
  if fields.get('levels') == 0:
    twos = (config.image_size & -config.image_size).bit_length() - 1
    fields['levels'] = min(twos, 8)
  module = _GENERATORS[network](**fields)
  try:
    if network == 'unet' and module.levels < 2:
      raise ValueError(
        f'{config.image_size} x {config.image_size} allows no U-Net; '
        'take a multiple of 32, at best a power of two'
      )
    models.check_sides((config.image_size,) * 2, module.halvings)
  except ValueError as error:
    raise errors.UserError(f'image_size: {error}') from None
  return module


def _discriminator(config):
  module = models.PatchDiscriminator(**config.discriminator)
  # Every strided layer halves, the two others take one pixel each.
  smallest = 3 * 2**module.layers
  if config.image_size < smallest:
    raise errors.UserError(
      f'image_size {config.image_size} is too small for a discriminator of '
      f'{module.layers} layers: at least {smallest}, or fewer '
      '--config.discriminator.layers'
    )
  return module


def _make_phantom(config) -> pathlib.Path:
  cache = config.data.cache or os.path.join(
    os.environ.get('XDG_CACHE_HOME', '~/.cache'), 'cyclegan_jax'
  )
  size = config.image_size
  sizes = dict(config.phantom)
  key = '-'.join(map(str, [size, config.seed, *sizes.values()]))
  root = pathlib.Path(cache).expanduser() / f'phantom-{phantom.VERSION}-{key}'
  screen.say(f'simulated heads (not real patients): {root}')
  phantom.make_dataset(
    root,
    image_size=size,
    seed=config.seed,
    report=screen.report_progress('simulating people'),
    **sizes,
  )
  return root


def _pair_up(tests, train):
  """The held-out folders cut down to the names they share."""
  shared = sorted(set(tests['a'].names) & set(tests['b'].names))
  if not shared:
    screen.say(
      f'warning: {tests["a"].root} and {tests["b"].root} share no file name, '
      'so there are no pairs to score'
    )
    return None
  # What is white is the training folder's to say, if it has 16-bit slices.
  return {
    domain: dataclasses.replace(
      folder, names=tuple(shared), white=train[domain].white or folder.white
    )
    for domain, folder in tests.items()
  }
