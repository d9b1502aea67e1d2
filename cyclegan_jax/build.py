"""From a config to what a run is made of: the last place that sees one."""

from collections.abc import Callable
import dataclasses
import pathlib

from flax import linen as nn
import jax
import ml_collections
import optax

from cyclegan_jax import cache_folders
from cyclegan_jax import contrast_map
from cyclegan_jax import errors
from cyclegan_jax import models
from cyclegan_jax import optimizers
from cyclegan_jax import pairs
from cyclegan_jax import rules
from cyclegan_jax import screen
from cyclegan_jax import state as state_lib
from cyclegan_jax import steps
from cyclegan_jax.mri import contrast
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import phantom
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import slices

SOURCES = ('train_a', 'train_b', 'test_a', 'test_b')
GENERATORS = {'unet': models.UNet, 'resnet': models.ResNet}


@dataclasses.dataclass(frozen=True)
class Data:
  """What a run trains on and is scored on.

  Attributes:
    train: usable slices by domain, 'a' and 'b'.
    pairs: held-out slices by domain, under the same names; None without any.
    simulated: whether these are the embedded heads.
    people: marks of those trained on, hashed: a checkpoint names nobody.
  """

  train: dict[str, slices.SliceSet]
  pairs: dict[str, slices.SliceSet] | None
  simulated: bool
  people: tuple[str, ...] = ()

  def fingerprints(self) -> dict[str, str]:
    return {domain: each.fingerprint() for domain, each in self.train.items()}

  def intensities(self) -> dict[str, dict]:
    """Of each domain what its scans typically hold: see `slices.SliceSet`."""
    return {
      domain: {
        'scaling': dataclasses.asdict(each.scaling()),
        'quantiles': each.quantiles(),
        'pictures': each.are_pictures(),
      }
      for domain, each in self.train.items()
    }


def read_config(stored: dict) -> ml_collections.ConfigDict:
  """The config of a run, for use with what it has learnt, on any machine.

  Translation is in float32, whatever training was in. Caches are a matter of
  the machine: where those named there cannot be written here, the user's own
  are taken.

  Args:
    stored: as a checkpoint holds it; older runs lack some fields.
  """
  config = ml_collections.ConfigDict(
    {'compile_cache': ''} | stored | {'compute_dtype': 'float32'}
  )
  for section, field in ((config, 'compile_cache'), (config.data, 'cache')):
    if not cache_folders.is_usable(section[field]):
      section[field] = ''
  return config


def keep_compiled(config: ml_collections.ConfigDict):
  """Keeps compiled programs for the next start, where the config says."""
  cache_folders.keep_compiled(config.compile_cache)


def open_data(config: ml_collections.ConfigDict) -> Data:
  """Opens the scans of a config, or makes the simulated heads.

  They are decoded on first use, and kept for later runs.

  Raises:
    UserError: for folders and files that cannot be used.
  """
  simulated = not config.data.train_a
  if simulated:
    root = _make_phantom(config)
    sources = {name: str(root / name) for name in SOURCES}
  else:
    sources = {name: config.data[name] for name in SOURCES}
  found = {
    name: scans.find_scans(source) for name, source in sources.items() if source
  }
  if not simulated:
    pairs.check_patients(found, warn=screen.say)

  def open_source(name, chosen, *, zoom=1.0, centers=None):
    return slices.open_slices(
      str(sources[name]),
      chosen,
      slice_settings(config, name[-1], zoom=zoom),
      cache=_cache(config) / 'slices',
      centers=centers,
      report=screen.report_progress(f'reading data.{name}'),
      warn=lambda note: screen.say(f'note: {note}'),
    )

  train = {
    domain: slices.select(
      open_source(name, found[name], zoom=config.data.zoom),
      min_foreground=config.data.min_foreground,
      slice_range=config.data.slice_range,
    )
    for domain, name in (('a', 'train_a'), ('b', 'train_b'))
  }
  held_out = None
  if 'test_a' in found:
    held_out = pairs.open_pairs(
      found['test_a'], found['test_b'], open_source, warn=screen.say
    )
  return Data(
    train=train,
    pairs=held_out,
    simulated=simulated,
    people=pairs.hash_people([*found['train_a'], *found['train_b']]),
  )


def test_sources(config: ml_collections.ConfigDict) -> tuple[str, str]:
  """The held-out scans of both domains.

  Raises:
    UserError: if the run has none.
  """
  if config.data.test_a:
    return config.data.test_a, config.data.test_b
  if config.data.train_a:
    raise errors.UserError(
      'the run has no held-out scans: name some, --source_a=DIR --source_b=DIR'
    )
  root = _make_phantom(config)
  return str(root / 'test_a'), str(root / 'test_b')


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
  return optimizers.hold_then_decay(
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
      image_shape=(size, size, 1),
      pool_size=config.pool_size,
      averaged=config.ema_decay > 0,
    )

  return create


def train_step(config: ml_collections.ConfigDict) -> Callable:
  """`step(state, batch, key, *, axis_name)` with the config's losses."""
  weights = steps.LossWeights(**config.loss)

  def step(state, batch, key, *, axis_name=None):
    return steps.train_step(
      state,
      batch,
      key,
      weights=weights,
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
  if fields.pop('contrast_map', False):
    fields['start'] = contrast_map.ContrastLayer(
      surroundings(config), name='contrast_map'
    )
  module = GENERATORS[network](**fields, dtype=config.compute_dtype)
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


def surroundings(config: ml_collections.ConfigDict) -> float:
  """The deviation of what a contrast map takes for surroundings, pixels."""
  return contrast.SURROUNDINGS * config.image_size


def _discriminator(config):
  module = models.PatchDiscriminator(
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


def _make_phantom(config) -> pathlib.Path:
  size = config.image_size
  sizes = dict(config.phantom)
  key = '-'.join(map(str, [size, config.seed, *sizes.values()]))
  root = _cache(config) / f'phantom-{phantom.VERSION}-{key}'
  screen.say(f'simulated heads (not real patients): {root}')
  phantom.make_dataset(
    root,
    image_size=size,
    seed=config.seed,
    report=screen.report_progress('simulating people'),
    **sizes,
  )
  return root
