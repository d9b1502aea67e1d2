"""What the training slices tell about the two contrasts before training."""

from collections.abc import Mapping
import json
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
  *,
  deviation: float,
  look: str,
  levels: Mapping[str, np.ndarray] | None = None,
) -> dict[str, fit.ContrastMap]:
  """The contrast maps {'ab', 'ba'} of two domains, `fit.fit_map`.

  Args:
    images: of domain 'a' and 'b', unpaired, each [N, S, S] in [0, 1].
    deviation: as in `fit.fit_map`.
    look: likewise.
    levels: of the slices of domain 'a' and 'b', [N] in [0, 1], likewise.
  """
  return {
    source + target: fit.fit_map(
      images[source],
      images[target],
      deviation=deviation,
      look=look,
      levels=(levels[source], levels[target]) if levels else None,
    )
    for source, target in ('ab', 'ba')
  }


def choose(
  maps: Mapping[str, fit.ContrastMap],
  names: Mapping[str, str],
  *,
  reach: float = 0.0,
) -> dict[str, np.ndarray]:
  """The values of maps by direction; says how good they are.

  One that explains next to nothing is left out: where heads lie anyhow, places
  tell nothing, and neither would the map.

  Args:
    maps: from `fit_maps`.
    names: of the domains, for people.
    reach: how far networks may move from their start; 0: anywhere.
  """
  chosen = {}
  for direction, found in maps.items():
    source, target = (names[domain] for domain in direction)
    useful = found.explained >= _LEAST_EXPLAINED
    console.say(
      f'  start      {source} to {target}: explains '
      f'{found.explained:.0%} of how {target} differs between places'
      + ('' if useful else ': too little, left out')
    )
    if useful:
      chosen[direction] = found.values
    elif reach:
      console.say(
        f'warning: {source} to {target} has no map, and '
        f'--config.generator.reach={reach} keeps its translations near the '
        'input: 0 does not'
      )
  return chosen


def write(maps: Mapping[str, fit.ContrastMap]) -> bytes:
  """Maps as JSON, to the last bit."""
  found = {
    direction: [each.values.tolist(), each.explained]
    for direction, each in maps.items()
  }
  return json.dumps(found).encode()


def read(written: bytes) -> dict[str, fit.ContrastMap]:
  """What `write` has made bytes of."""
  return {
    direction: fit.ContrastMap(np.array(values), explained)
    for direction, (values, explained) in json.loads(written).items()
  }


def put(state: Any, maps: Mapping[str, np.ndarray]) -> Any:
  """Puts fitted maps in their generators, and in their averages.

  Args:
    state: a fresh `CycleGANState` of generators with a
      `layer.ContrastLayer`; on any devices.
    maps: from `choose`.
  """
  for direction, values in maps.items():

    def change(params, values=values):
      old = params['contrast_map']['values']
      new = jax.device_put(np.asarray(values, old.dtype), old.sharding)
      return params | {'contrast_map': {'values': new}}

    state = state.change_params(f'gen_{direction}', change)
  return state
