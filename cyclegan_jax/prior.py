"""What the training slices tell about the two contrasts before training."""

from collections.abc import Mapping

import numpy as np

from cyclegan_jax import screen
from cyclegan_jax.mri import contrast
from cyclegan_jax.mri import slices as slices_lib

_PIXELS = 400 * 128**2  # of each domain are enough
_LEAST_EXPLAINED = 0.05


def fit_maps(
  train: Mapping[str, slices_lib.SliceSet],
  names: Mapping[str, str],
  *,
  deviation: float,
) -> dict[str, np.ndarray]:
  """The contrast maps {'ab', 'ba'} of two domains, `contrast.fit_map`.

  Says how good they are. One that explains next to nothing is left out: where
  heads lie anyhow, places tell nothing, and neither would the map.

  Args:
    train: slices of domain 'a' and 'b'.
    names: of the domains, for people.
    deviation: as in `contrast.fit_map`.
  """
  images = {domain: _load(slices) for domain, slices in train.items()}
  maps = {}
  for source, target in ('ab', 'ba'):
    found = contrast.fit_map(
      images[source], images[target], deviation=deviation
    )
    useful = found.explained >= _LEAST_EXPLAINED
    screen.say(
      f'  start      {names[source]} to {names[target]}: explains '
      f'{found.explained:.0%} of how {names[target]} differs between places'
      + ('' if useful else ': too little, left out')
    )
    if useful:
      maps[source + target] = found.values
  return maps


def _load(slices):
  count = max(_PIXELS // slices.size**2, 1)
  return (slices_lib.load_spread(slices, count) + 1) / 2
