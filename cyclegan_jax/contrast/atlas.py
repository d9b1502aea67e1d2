"""Where in a head something is: what two contrasts share without pairs.

Two folders show other people, but the same anatomy. A place is a fraction of
the head's bounding box in its slice, left and right taken together, in slices
that the head fills about as much: heads have to be upright, not centred. Means
and histograms at places of one contrast can be held against those of another.
"""

from collections.abc import Iterable
from typing import Any
from typing import NamedTuple

import numpy as np

_SIDE = 24  # places along either side of a bounding box
# ... and how many depths and levels, where these tell places apart too
_DEPTHS, _HEIGHTS = 10, 16
_LEVELS = 6  # groups of slices by how much of them the head fills
_STEPS = 16  # of histograms

Weighted = Iterable[tuple[np.ndarray | int, np.ndarray]]


class Located(NamedTuple):
  """At which places the pixels of heads are.

  Attributes:
    numbers: of the places, [N], in the order of the pixels.
    total: how many places there are.
  """

  numbers: np.ndarray
  total: int

  def count(self) -> np.ndarray:
    """The pixels at every place, [total]."""
    return np.bincount(self.numbers, minlength=self.total)


def locate(
  heads: np.ndarray,
  *,
  depths: np.ndarray | None = None,
  levels: np.ndarray | None = None,
) -> Located:
  """Finds the places of the pixels of heads.

  Args:
    heads: [S, H, W] bool.
    depths: [S, H, W] in [0, 1] of pixels below the outline, where places are to
      be told apart by them too.
    levels: [S] in [0, 1] of slices, likewise; None: how much of them the head
      fills tells slices apart.
  """
  places = np.stack([_locate(mask) for mask in heads])
  if levels is None:
    filled = heads.sum((1, 2))
    ranks = np.argsort(np.argsort(filled, kind='stable'), kind='stable')
    group, groups = ranks * _LEVELS // len(heads), _LEVELS
  else:
    group, groups = _number(levels, _HEIGHTS), _HEIGHTS
  places = (places + (group * _SIDE**2)[:, None, None])[heads]
  total = groups * _SIDE**2
  if depths is not None:
    deep = _number(depths[heads], _DEPTHS)
    places, total = places * _DEPTHS + deep, total * _DEPTHS
  return Located(places, total)


def average(
  heads: np.ndarray,
  weighted: Weighted,
  *,
  size: int = 1,
  located: Located | None = None,
  kept: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """The pixels of heads at every place, and the means of what is weighted.

  Args:
    heads: [S, H, W] bool.
    weighted: pairs of an index below `size` and a weight, each [S, H, W].
    size: how many indices there are.
    located: their pixels, from `locate`; None: without depths and levels.
    kept: [P] bool, places to look at; None: all.

  Returns:
    [P] counts and [size, P]: the weights of each index, per pixel; of the
    places that are kept.
  """
  numbers, total = located or locate(heads)
  chosen: Any = slice(None)
  if kept is not None:
    chosen = kept[numbers]
    numbers, total = (np.cumsum(kept) - 1)[numbers[chosen]], int(kept.sum())
  counts = np.bincount(numbers, minlength=total)
  sums: Any = sum(
    np.bincount(
      np.broadcast_to(index, heads.shape)[heads][chosen] * total + numbers,
      weight[heads][chosen],
      minlength=size * total,
    )
    for index, weight in weighted
  )
  return counts, sums.reshape(size, total) / np.maximum(counts, 1)


def weigh(counts: np.ndarray, others: np.ndarray) -> np.ndarray:
  """How much every place counts where two folders are compared.

  [P] of sum 1; all 0 if no place shows a head in both.
  """
  weights = np.minimum(counts, others).astype(np.float64)
  return weights / max(weights.sum(), 1)


def share_levels(values: np.ndarray, knots: int) -> Weighted:
  """Values in [0, 1] as shares of the two nearest of equally spaced knots."""
  position = np.clip(values, 0, 1) * (knots - 1)
  below = np.minimum(position.astype(int), knots - 2)
  part = position - below
  return [(below, 1 - part), (below + 1, part)]


def histograms(
  heads: np.ndarray,
  images: np.ndarray,
  *,
  located: Located | None = None,
  kept: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """The pixels at every place, [P], and their histograms, [16, P].

  At equal steps of intensity from 0 to 1; arguments as in `average`.
  """
  return average(
    heads,
    share_levels(images, _STEPS),
    size=_STEPS,
    located=located,
    kept=kept,
  )


def measure_distance(
  found: tuple[np.ndarray, np.ndarray], wanted: tuple[np.ndarray, np.ndarray]
) -> float:
  """How far intensities have to move for every place to look as it should.

  1-Wasserstein distance of the `histograms` at each place, averaged over
  pixels; in units of the range. NaN where no place shows a head in both: then
  nothing can be told.
  """
  weights = weigh(found[0], wanted[0])
  if not weights.any():
    return float('nan')
  moved = np.abs(np.cumsum(found[1] - wanted[1], axis=0)).sum(0)
  return float(weights @ moved / (_STEPS - 1))


def _number(values, count):
  """Of equal parts of [0, 1], which one values are in."""
  return np.minimum((values * count).astype(int), count - 1)


def _locate(mask):
  """The place of every pixel of a slice in the bounding box of its head."""
  fractions = []
  for axis in (0, 1):
    lines = np.flatnonzero(mask.any(1 - axis))
    first, last = (lines[0], lines[-1]) if lines.size else (0, 0)
    fraction = (np.arange(mask.shape[axis]) - first + 0.5) / (last - first + 1)
    place = np.clip(np.floor(fraction * _SIDE), 0, _SIDE - 1).astype(int)
    fractions.append(place)
  rows, columns = fractions
  columns = np.minimum(columns, _SIDE - 1 - columns)
  return rows[:, None] * _SIDE + columns
