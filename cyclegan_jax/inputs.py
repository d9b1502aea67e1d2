"""From a config to the scans of a run: what it learns from and is scored on."""

from collections.abc import Callable
from collections.abc import Iterator
import functools
import pathlib

import ml_collections
import numpy as np

from cyclegan_jax import errors
from cyclegan_jax import stored_config
from cyclegan_jax.data import batches as batches_lib
from cyclegan_jax.data import simulated_volume
from cyclegan_jax.data import sources
from cyclegan_jax.mri import channels
from cyclegan_jax.mri import framing
from cyclegan_jax.runtime import cache_folders

_NAMED = 4  # slices of a batch that a message names


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
    channels=stored_config.input_channels(config),
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


def simulated_head(config: ml_collections.ConfigDict) -> Callable:
  """`simulated_volume.simulate` of the config's heads, of scalings alone."""
  return functools.partial(
    simulated_volume.simulate,
    image_size=config.image_size,
    seed=config.seed,
    sequences=_sequences(config),
  )


def _cache(config) -> pathlib.Path:
  return cache_folders.make('data.cache', config.data.cache)


def _make_phantom(config) -> dict[str, str]:
  """Folders of the simulated heads by name, made if they are not there."""
  if stored_config.input_channels(config) == channels.LEVELLED:
    raise errors.UserError(
      'the simulated heads are pictures, which do not say how high in the head '
      'they are: name scans, --config.data.train_a=DIR, or take '
      '--config.generator.contrast_look=depth'
    )
  return sources.make_phantom(
    _cache(config),
    image_size=config.image_size,
    seed=config.seed,
    sequences=_sequences(config),
    people=config.phantom.people,
    test_people=config.phantom.test_people,
    slices=config.phantom.slices,
  )


def _sequences(config):
  return {domain: config.phantom[f'sequence_{domain}'] for domain in 'ab'}
