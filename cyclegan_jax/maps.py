"""The contrast maps that a run starts from: fitted to its training slices."""

import functools

import ml_collections
import numpy as np

from cyclegan_jax import build
from cyclegan_jax import inputs
from cyclegan_jax.contrast import start as start_lib
from cyclegan_jax.data import slices as slices_lib
from cyclegan_jax.data import sources
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.mri import channels
from cyclegan_jax.runtime import processes
from cyclegan_jax.runtime import shelf as shelf_lib


def fit_start(
  config: ml_collections.ConfigDict,
  data: sources.Data,
  state: state_lib.CycleGANState,
  shelf: shelf_lib.Shelf | None = None,
) -> state_lib.CycleGANState:
  """A fresh state that begins as contrast maps, if the config has any."""
  if not config.generator.get('contrast_map'):
    return state
  # By one machine: another may round differently.
  maps = processes.first_alone(
    functools.partial(_fit_maps, config, data, shelf), 'maps'
  )
  told = processes.tell_facts(maps)
  return start_lib.put(state, {d: np.asarray(x) for d, x in told.items()})


def _fit_maps(config, data, shelf):
  settings = build.contrast_settings(config)

  def fit():
    images, levels = {}, {}
    for domain, each in data.train.items():
      loaded = slices_lib.load_spread(each, start_lib.count_slices(each.size))
      images[domain] = (channels.to_gray(loaded) + 1) / 2
      if each.channels == channels.LEVELLED:
        levels[domain] = (loaded[:, 0, 0, -1] + 1) / 2
    found = start_lib.fit_maps(images, levels=levels or None, **settings)
    return start_lib.write(found)

  # They are of these people: they lie where the slices do.
  shelf = shelf and shelf._replace(folder=inputs.slice_cache(config))
  made_of = [data.fingerprints(), config.channels, settings]
  maps = start_lib.read(shelf_lib.recall(shelf, 'maps', made_of, fit))
  chosen = start_lib.choose(
    maps, build.names(config), reach=config.generator.reach
  )
  return {direction: values.tolist() for direction, values in chosen.items()}
