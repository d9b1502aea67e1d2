"""The config of a model that was trained elsewhere, from flags and weights.

The reference's recipe, as configs/t1t2_resnet.py has it; what the weights tell
takes the place of its networks, what flags tell that of its data. Without JAX.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any
from typing import NamedTuple

from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import places
from cyclegan_jax import rules
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import volume

# Of the command line: what `read_flags` takes.
FLAGS = (
  *('domains', 'spacing', 'intensity_a', 'intensity_b', 'image_size'),
  'planes',
)

# What networks made elsewhere may have been fed with.
_FOREIGN = tuple(kind for kind in intensity.KINDS if kind != 'inside')
_AIR, _BRIGHT = 0.0, 1000.0  # in units of our own: see `typical_intensities`


class Settings(NamedTuple):
  """What weights do not tell, and people have to.

  Attributes:
    domains: names of a and b.
    spacing: mm between the pixels that the networks were trained on.
    image_size: pixels of a side.
    kinds: of `intensity.KINDS`, by domain.
    windows: lowest and highest intensity, by domain, for the kind 'window'.
    planes: along which the slices lay.
  """

  domains: tuple[str, str]
  spacing: float
  image_size: int
  kinds: dict[str, str]
  windows: dict[str, tuple[float, float]]
  planes: tuple[str, ...]


def check_flags(given: Mapping[str, Any]):
  """Checks the flags of --mode=import, and the places that they name.

  Raises:
    UserError: for the first mistake.
  """
  workdir, source = given['workdir'], given['source']
  places.check_places({'--source': source, '--workdir': workdir})
  read_flags(**{name: given[name] for name in FLAGS})
  try:
    there = pathlib.Path(source).exists()
  except OSError as error:
    raise errors.UserError(
      f'--source={source} cannot be read: {error.strerror}; name another place'
    ) from None
  if not there:
    raise errors.UserError(
      f'--source={source} is not there; name a file or a folder of networks'
    )
  check_workdir(pathlib.Path(workdir))


def check_workdir(workdir: pathlib.Path):
  """Raises `UserError` unless it is a folder that is empty, or can be made."""
  try:
    if workdir.exists() and not workdir.is_dir():
      raise errors.UserError(
        f'--workdir={workdir} is a file; name a new folder'
      )
    if workdir.is_dir():
      files.sweep(workdir)  # of an import that was killed
      if any(workdir.iterdir()):
        raise errors.UserError(
          f'--workdir={workdir} is not empty, and nothing is put beside what '
          'is there: name a new folder'
        )
    files.probe_folder(workdir.absolute())
  except OSError as error:
    raise errors.UserError(
      f'--workdir={workdir} cannot be written to: {error.strerror}; name '
      'another folder'
    ) from None


def read_flags(
  *,
  domains: Sequence[str],
  spacing: float,
  intensity_a: str,
  intensity_b: str,
  image_size: int,
  planes: Sequence[str] | None = None,
) -> Settings:
  """What the flags say.

  Args:
    domains: two names.
    spacing: mm.
    intensity_a: one of `intensity.KINDS`; with its ends, 'window:LOW,HIGH'.
    intensity_b: likewise.
    image_size: pixels.
    planes: of `volume.PLANES`; None: axial.

  Raises:
    UserError: naming the first flag that says what cannot be.
  """
  names = [name.strip() for name in domains]
  known = tuple(name.strip() for name in planes or ('axial',))
  for name, rule, value, told in (
    ('domains', 'domains', names, ','.join(domains)),
    ('spacing', 'data.spacing', spacing, spacing),
    ('image_size', 'image_size', image_size, image_size),
    ('planes', 'data.planes', known, ','.join(known)),
  ):
    if not rules.RULES[rule].allows(value):
      wanted = rules.RULES[rule].wanted
      if name == 'domains':
        wanted = 'two names, such as T1w,T2w'
      if name == 'planes':
        wanted = f'such as axial,coronal, of {", ".join(volume.PLANES)}'
      raise errors.UserError(f'--{name}={told}: it must be {wanted}')
  kinds, windows = {}, {}
  for domain, told in (('a', intensity_a), ('b', intensity_b)):
    kinds[domain], windows[domain] = _read_intensity(domain, told)
  return Settings(
    *((names[0], names[1]), spacing, image_size, kinds, windows, known)
  )


def _read_intensity(domain, told):
  kind, _, ends = told.partition(':')
  try:
    window = tuple(float(end) for end in ends.split(',')) if ends else ()
  except ValueError:
    window = (0.0,)
  bounded = rules.RULES['data.window_a'].allows(window)
  fits = bounded if kind == 'window' else not ends
  if kind not in _FOREIGN or not fits:
    kinds = ', '.join(_FOREIGN[:-1])
    raise errors.UserError(
      f'--intensity_{domain}={told}: it must be one of {kinds}, or '
      'window:LOW,HIGH, such as window:-1000,1000'
    )
  return kind, window or (-1000.0, 1000.0)


def make(
  settings: Settings,
  *,
  generator: Mapping[str, Any],
  discriminator: Mapping[str, Any],
  channels: int,
) -> dict[str, Any]:
  """Every field there is, nested dicts.

  Args:
    settings: what people say.
    generator: its section.
    discriminator: fields that differ from the reference's.
    channels: of images.
  """
  return {
    'seed': 0,
    'num_epochs': 200,
    'decay_epochs': 100,
    'max_steps': 0,
    'batch_size': 1,
    'image_size': settings.image_size,
    'crop_size': 0,
    'channels': channels,
    'domains': settings.domains,
    'parallel': 'pmap',
    'distributed': 'auto',
    'compute_dtype': 'float32',
    'precision': 'default',
    'deterministic': False,
    'accumulate_steps': 1,
    'remat': False,
    'ema_decay': 0.0,
    'max_bad_steps': 100,
    'compile_cache': '',
    'start_from': '',
    'data': _describe_data(settings),
    'phantom': {
      'people': 24,
      'test_people': 6,
      'slices': 6,
      **rules.ADDED_PHANTOM,
    },
    'generator': dict(generator),
    'discriminator': {
      'features': 64,
      'layers': 3,
      'leak': 0.2,
      'affine': False,
      **discriminator,
    },
    'loss': {
      'kind': 'lsgan',
      'cycle': 10.0,
      'identity': 5.0,
      'discriminator': 0.5,
    },
    'optimizer': {'learning_rate': 2e-4, 'beta1': 0.5, 'beta2': 0.999},
    'pool_size': 50,
    'log_every_steps': 50,
    'sample_every_steps': 500,
    'evaluate_every_steps': 1000,
    'checkpoint_every_steps': 1000,
    'keep_checkpoints': 3,
  }


def _describe_data(settings):
  return {
    'train_a': '',
    'train_b': '',
    'test_a': '',
    'test_b': '',
    'min_foreground': 0.02,
    'slice_range': (0.0, 1.0),
    'planes': settings.planes,
    'spacing': settings.spacing,
    'intensity_a': settings.kinds['a'],
    'intensity_b': settings.kinds['b'],
    'window_a': settings.windows['a'],
    'window_b': settings.windows['b'],
    'volume': -1,
    'zoom': 286 / 256,
    'threads': 1,
    'cache': '',
  }


def typical_intensities(
  kind: str, window: tuple[float, float]
) -> intensity.Intensities:
  """What results mean where no scan of the training was ever seen.

  Scans of a domain have units that no weights tell. By convention the results
  are on a scale of their own, linear all the way: 0 is air, 1000 the brightest
  tissue, a little more and less the rare extremes. A window is in the scanner's
  units, and stays so. Quantiles are not known, and there are none.

  Args:
    kind: one of `intensity.KINDS`.
    window: lowest and highest, for the kind 'window'.
  """
  if kind == 'window':
    scaling = intensity.Scaling(kind, window, (-1.0, 1.0), window[0])
  elif kind == 'minmax':
    scaling = intensity.Scaling(kind, (_AIR, _BRIGHT), (-1.0, 1.0), _AIR)
  else:
    scaling = intensity.spread_evenly(kind, _AIR, _BRIGHT)
  return intensity.Intensities(scaling, ())
