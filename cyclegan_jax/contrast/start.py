"""What the training slices tell about the two contrasts before training."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from cyclegan_jax import console
from cyclegan_jax.contrast import fit

_PIXELS = 400 * 128**2  # of each domain are enough
_LEAST_EXPLAINED = 0.05


def count_slices(size: int) -> int:
  """How many slices of `size` x `size` pixels are enough to fit a map to."""
  return max(_PIXELS // size**2, 1)


def fit_maps(
  images: Mapping[str, np.ndarray],
  names: Mapping[str, str],
  *,
  deviation: float,
) -> dict[str, np.ndarray]:
  """The contrast maps {'ab', 'ba'} of two domains, `fit.fit_map`.

  Says how good they are. One that explains next to nothing is left out: where
  heads lie anyhow, places tell nothing, and neither would the map.

  Args:
    images: of domain 'a' and 'b', unpaired, each [N, S, S] in [0, 1].
    names: of the domains, for people.
    deviation: as in `fit.fit_map`.
  """
  maps = {}
  for source, target in ('ab', 'ba'):
    found = fit.fit_map(images[source], images[target], deviation=deviation)
    useful = found.explained >= _LEAST_EXPLAINED
    console.say(
      f'  start      {names[source]} to {names[target]}: explains '
      f'{found.explained:.0%} of how {names[target]} differs between places'
      + ('' if useful else ': too little, left out')
    )
    if useful:
      maps[source + target] = found.values
  return maps


def put(state: Any, maps: Mapping[str, np.ndarray]) -> Any:
  """Puts fitted maps in their generators, and in their averages.

  Args:
    state: a fresh `CycleGANState` of generators with a
      `layer.ContrastLayer`; on any devices.
    maps: from `fit_maps`.
  """
  for direction, values in maps.items():

    def change(params, values=values):
      old = params['contrast_map']['values']
      new = jax.device_put(np.asarray(values, old.dtype), old.sharding)
      return params | {'contrast_map': {'values': new}}

    state = state.change_params(f'gen_{direction}', change)
  return state
