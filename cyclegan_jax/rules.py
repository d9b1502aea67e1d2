"""What values the fields of a config may have: one table, in its order.

Nothing heavy is imported, so that a wrong value is answered at once. Choices
that modules of JAX own are written here again; a test holds them together.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from cyclegan_jax import errors
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import volume
from cyclegan_jax.runtime import cluster

# Of a batch, or of the images kept for the discriminators: 32 GiB a domain.
_MOST_PIXELS = 2**33
_SIMULATED = 1024  # pixels of a side: a quarter of a millimetre, and minutes

# Fields that older versions did not know, as they went without.
_ADDED = {
  'start_from': '',
  'compile_cache': '',
  'channels': 1,
  'precision': 'default',
  'crop_size': 0,
  'deterministic': False,
}
ADDED_PHANTOM = dict(sequence_a=(500.0, 14.0), sequence_b=(4000.0, 100.0))
_ADDED_GENERATOR = {
  'unet': {'norm': 'instance'},
  'resnet': {
    'norm': 'instance',
    'dropout': 0.0,
    'contrast_look': 'surroundings',
    'contrast_learns': True,
    'reach': 0.0,
  },
}

# Of each generator: a recipe that has it, and its fields.
NETWORKS = {
  'unet': (
    'configs/t1t2.py',
    {'features', 'levels', 'dropout', 'leak', 'skip_leak', 'affine'}
    | {'norm_innermost', 'norm'},
  ),
  'resnet': (
    'configs/t1t2_resnet.py',
    {'features', 'blocks', 'dropout', 'norm', 'reach'}
    | {'contrast_map', 'contrast_look', 'contrast_learns'},
  ),
}


class Rule(NamedTuple):
  """What a field's value may be, for the program and in words.

  Attributes:
    allows: whether a value is one.
    wanted: 'it must be ...'.
    choices: the values, where they can be counted.
  """

  allows: Callable[[Any], bool]
  wanted: str
  choices: tuple[str, ...] = ()


def _between(low: float, high: float) -> Rule:
  """What is no number lies nowhere: a comparison with NaN does not hold."""
  return Rule(lambda x: low <= x <= high, f'from {low:,} to {high:,}')


def _positive(high: float) -> Rule:
  wanted = f'greater than 0, at most {high:,}'
  return Rule(lambda x: 0 < x <= high, wanted)


def _one_of(*choices: str) -> Rule:
  wanted = f'one of {", ".join(choices)}'
  return Rule(lambda x: x in choices, wanted, choices)


def _range(low: float, high: float, numbers: str) -> Rule:
  return Rule(
    lambda x: len(x) == 2 and low <= x[0] < x[1] <= high,
    f'{numbers}, the lower first',
  )


def _is_name(x):
  return isinstance(x, str) and bool(x.strip()) and x.isprintable()


_SHARE = Rule(lambda x: 0 <= x < 1, 'from 0 up to, but less than, 1')
_INTENSITY = _one_of(*intensity.KINDS)
_WINDOW = _range(-1e300, 1e300, 'two numbers')
_SEQUENCE = Rule(
  lambda x: len(x) == 9 or (len(x) in (2, 3) and min(x) > 0),
  '(TR, TE) or (TR, TE, TI) in ms, or nine values of air and tissues',
)
_PERIOD = _between(1, 10**9)
_WEIGHT = _between(0, 10**6)
_SLOPE = _between(0, 1)
_WIDTH = _between(1, 1024)

RULES = {
  'seed': _between(0, 2**31 - 1),
  'num_epochs': _between(1, 10**6),
  'decay_epochs': _between(0, 10**6),
  'max_steps': _between(0, 10**9),
  'batch_size': _between(1, 16384),
  'image_size': _between(1, 8192),
  'crop_size': _between(0, 8192),
  'channels': Rule(lambda x: x in (1, 3), '1 (gray) or 3 (colour)'),
  'domains': Rule(
    lambda x: len(x) == 2 and all(map(_is_name, x)),
    "two names, such as ('T1w', 'T2w')",
  ),
  'parallel': _one_of('pmap', 'shard_map'),
  'distributed': Rule(cluster.is_spec, cluster.WANTED),
  'compute_dtype': _one_of('float32', 'bfloat16'),
  'precision': _one_of('default', 'high', 'highest'),
  'accumulate_steps': _between(1, 16384),
  'ema_decay': _SHARE,
  'max_bad_steps': _PERIOD,
  'data.min_foreground': _SHARE,
  'data.slice_range': _range(0, 1, 'two numbers from 0 to 1'),
  'data.planes': Rule(
    lambda x: x and set(x) <= set(volume.PLANES) and len(set(x)) == len(x),
    f"such as ('axial',), of {', '.join(volume.PLANES)}",
    tuple(volume.PLANES),
  ),
  'data.spacing': _positive(1000),
  'data.intensity_a': _INTENSITY,
  'data.intensity_b': _INTENSITY,
  'data.window_a': _WINDOW,
  'data.window_b': _WINDOW,
  'data.volume': _between(-1, 10**6),
  'data.zoom': _between(1, 8),
  'data.threads': _between(1, 256),
  'phantom.people': _between(1, 10000),
  'phantom.test_people': _between(1, 10000),
  'phantom.slices': _between(1, 50),
  'phantom.sequence_a': _SEQUENCE,
  'phantom.sequence_b': _SEQUENCE,
  'generator.network': _one_of(*NETWORKS),
  'generator.features': _WIDTH,
  'generator.levels': _between(0, 13),
  'generator.dropout': _SHARE,
  'generator.leak': _SLOPE,
  'generator.skip_leak': _SLOPE,
  'generator.norm': _one_of('instance', 'folded'),
  'generator.blocks': _between(1, 1000),
  'generator.contrast_look': _one_of('surroundings', 'depth', 'place'),
  'generator.reach': _between(0, 10),
  'discriminator.features': _WIDTH,
  'discriminator.layers': _between(1, 13),
  'discriminator.leak': _SLOPE,
  'loss.kind': _one_of('bce', 'lsgan'),
  'loss.cycle': _WEIGHT,
  'loss.identity': _WEIGHT,
  'loss.discriminator': _WEIGHT,
  'optimizer.learning_rate': _between(0, 10),
  'optimizer.beta1': _SHARE,
  'optimizer.beta2': _SHARE,
  'pool_size': _between(0, 10**6),
  'log_every_steps': _PERIOD,
  'sample_every_steps': _PERIOD,
  'evaluate_every_steps': _PERIOD,
  'checkpoint_every_steps': _PERIOD,
  'keep_checkpoints': _between(1, 10**6),
}


def check_values(fields: Mapping[str, Any]):
  """Checks every field for itself, then those that depend on each other.

  Args:
    fields: of a config, by dotted name; a generator has not all of them.

  Raises:
    UserError: for the first mistake, in the order of `RULES`.
  """

  def refuse(name, wanted):
    raise errors.UserError(
      f'--config.{name}={fields[name]}: it must be {wanted}'
    )

  for name, rule in RULES.items():
    if name in fields and not _allows(rule, fields[name]):
      refuse(name, rule.wanted)
  prefix = 'generator.'
  check_generator(
    {
      name.removeprefix(prefix): value
      for name, value in fields.items()
      if name.startswith(prefix)
    }
  )
  if fields['decay_epochs'] > fields['num_epochs']:
    refuse('decay_epochs', f'at most num_epochs, {fields["num_epochs"]}')
  if fields.get('channels', 1) > 1 and fields.get(prefix + 'contrast_map'):
    refuse('channels', '1 with a contrast map (generator.contrast_map)')
  if fields.get('deterministic') and fields['compile_cache'] == 'off':
    refuse(
      'compile_cache',
      'empty with --config.deterministic=True, which '
      'keeps compiled programs in the workdir',
    )
  side = fields['image_size']
  crop = fields.get('crop_size', 0)
  if crop > side:
    refuse('crop_size', f'at most image_size, {side}')
  mapped = fields.get(prefix + 'contrast_map')
  if fields.get(prefix + 'reach') and not mapped:
    refuse(prefix + 'reach', '0 without --config.generator.contrast_map=True')
  look = mapped and fields.get(prefix + 'contrast_look')
  if crop and look == 'surroundings':
    refuse(
      'crop_size',
      '0, or take --config.generator.contrast_look=depth or place: crops do '
      'not show the surroundings of their pixels',
    )
  if look == 'place' and len(fields['data.planes']) > 1:
    refuse('data.planes', 'one, or take --config.generator.contrast_look=depth')
  if not fields['data.train_a'] and side > _SIMULATED:
    refuse('image_size', f'at most {_SIMULATED:,} with the simulated heads')
  for name in ('batch_size', 'pool_size'):
    most = _MOST_PIXELS // side**2 // fields.get('channels', 1)
    if fields[name] > most:
      refuse(name, f'at most {most:,} with images of {side} x {side} pixels')


def complete(stored: Mapping[str, Any]) -> dict[str, Any]:
  """The config of a run with the fields that an older version did not know.

  Args:
    stored: nested dicts out of JSON.
  """
  generator = dict(stored['generator'])
  added = _ADDED_GENERATOR.get(generator.get('network', ''), {})
  phantom = ADDED_PHANTOM | dict(stored['phantom'])
  whole = {'generator': added | generator, 'phantom': phantom}
  return {**_ADDED, **stored, **whole}


def check_trainable(section: Mapping[str, Any]):
  """Checks that a generator is one that can be trained.

  Args:
    section: `config.generator`.

  Raises:
    UserError: if its batch normalisation has been folded into its layers.
  """
  if section.get('norm') == 'folded':
    raise errors.UserError(
      '--config.generator.norm=folded: batch-norm generators translate and '
      'cannot be trained on; train anew with --config.generator.norm=instance'
    )


def check_generator(section: Mapping[str, Any]):
  """Checks that a generator has no field that only another network has.

  A network cannot be changed by its name alone: a recipe brings the fields that
  go with it. Fields may be missing, as in the configs of older runs.

  Args:
    section: `config.generator`.

  Raises:
    UserError: naming the fields, and a recipe that has the network.
  """
  network = section['network']
  if network not in NETWORKS:
    wanted = RULES['generator.network'].wanted
    raise errors.UserError(
      f'--config.generator.network={network}: it must be {wanted}'
    )
  recipe, known = NETWORKS[network]
  strange = sorted(section.keys() - known - {'network'})
  if strange:
    raise errors.UserError(
      f'--config.generator.network={network}: this recipe describes another '
      f'network, a {network} has no {", ".join(strange)}; take a recipe that '
      f'has one, such as --config={recipe}'
    )


def _allows(rule, value):
  try:
    return rule.allows(value)
  except TypeError:  # words where numbers belong, in a tuple
    return False
