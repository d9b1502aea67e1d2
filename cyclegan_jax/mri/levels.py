"""How high in a head slices are, by how much of it they show.

A head is about an ellipsoid, and the areas of its slices a parabola: zero at
both ends, largest in between. That tells heights without the ends, which scans
often leave out, and without millimetres, by which people differ. Where a head
is cropped sideways, its areas are, and heights are a little off.
"""

from collections.abc import Sequence

import numpy as np

MIDDLE = 0.5  # where nothing can be told
_LEAST = 8  # slices that tell a parabola
# Of the slices: how many below the widest one tell too, as further down may be
# a neck; and how many at least, where little above it is seen.
_NECK, _SEEN = 0.1, 1 / 3


def measure_levels(areas: Sequence[float] | np.ndarray) -> np.ndarray:
  """Levels of all slices of a volume along a plane, in its order.

  Args:
    areas: of the head in each slice, [S], in any unit.

  Returns:
    [S] in [0, 1]: 1/2 at the widest slice, 1 where a head ends in the direction
    of later slices, 0 in that of earlier ones; 1/2 everywhere where too few
    slices, or no hump, tell nothing.
  """
  shown = np.asarray(areas, float)
  unknown = np.full(len(shown), MIDDLE)
  if len(shown) < _LEAST or not shown.max() > 0:
    return unknown
  places = np.arange(len(shown))
  first = int(shown.argmax()) - round(_NECK * len(shown))
  first = min(first, len(shown) - round(_SEEN * len(shown)))
  # Towards the neck heads are no ellipsoids: the other side tells.
  upper = (places >= first) & (shown > 0.02 * shown.max())
  if upper.sum() < _LEAST // 2:
    return unknown
  bend, slope, height = np.polyfit(places[upper], shown[upper], 2)
  if not bend < 0:
    return unknown
  middle = -slope / (2 * bend)
  half = np.sqrt(middle**2 - height / bend)
  if not half > 0:
    return unknown
  return np.clip(MIDDLE + (places - middle) / (2 * half), 0, 1)
