"""How one contrast's intensities become another's, learnt without pairs.

Two domains show other people, but the same anatomy: at the same place of a head
the same mixture of tissues is to be expected. If a map m of what a pixel looks
like turns one contrast into the other, then at every place

  mean of the target = sum over looks k of m(k) times the share of k there

which is a linear regression for m (ecological regression, Goodman 1953). Looks
are a pixel's intensity and the mean of its surroundings: the latter tells the
fluid inside a brain from the bone around it, both dark in T1w. Such a map finds
inverted contrasts, which matching histograms cannot, and needs no network.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

AIR = 0.02  # of the range; as in metrics.head_mask
SURROUNDINGS = 3 / 64  # their deviation, as a share of a side
_PLACES = 24  # along either side of a head's bounding box
_LEVELS = 6  # groups of slices by how much of them the head fills
# Found on T1w and T2w of two people, and much the same a factor of 3 around.
_KNOTS = (12, 8)  # of intensity, of surroundings
_BENDING, _SLOPE = 1e-3, 1e-3


class ContrastMap(NamedTuple):
  """What looks like this becomes that: bilinear between knots. Air stays air.

  Attributes:
    values: [K, L] at equally spaced intensities and means of surroundings, both
      from 0 to 1.
    explained: share of the variance between the places of the target that it
      explains, at most 1; near or below 0, nothing is known of the contrast.
  """

  values: np.ndarray
  explained: float


def fit_map(
  source: np.ndarray, target: np.ndarray, *, deviation: float
) -> ContrastMap:
  """Finds the map from one contrast to another in unpaired slices.

  Heads have to be upright, not centred: a place is a fraction of the head's
  bounding box in its slice, left and right taken together, in slices that the
  head fills about as much.

  Args:
    source: [S, H, W] in [0, 1], 0 in the air.
    target: [T, H, W] likewise; other slices, of other people.
    deviation: of the Gaussian that averages surroundings, pixels;
      `SURROUNDINGS` of a side that the head about fills.

  Raises:
    ValueError: if they show no head.
  """
  from scipy import optimize  # not for those who only train without it

  counts, shares = _share(source, _look(source, deviation))
  target_counts, (means,) = _share(target, [(0, target)], looks=1)
  weights = np.minimum(counts, target_counts).astype(np.float64)
  if not weights.any():
    raise ValueError('no place shows a head in both contrasts')
  weights /= weights.sum()
  roots = np.sqrt(weights)
  bends = np.kron(np.diff(np.eye(_KNOTS[0]), 2, axis=0), np.eye(_KNOTS[1]))
  slopes = np.kron(np.eye(_KNOTS[0]), np.diff(np.eye(_KNOTS[1]), axis=0))
  smooth = np.vstack(
    [
      np.sqrt(_BENDING / _KNOTS[1]) * bends,
      np.sqrt(_SLOPE / _KNOTS[1]) * slopes,
    ]
  )
  values = optimize.lsq_linear(
    np.vstack([roots[:, None] * shares.T, smooth]),
    np.concatenate([roots * means, np.zeros(len(smooth))]),
    bounds=(0, np.quantile(target[target > AIR], 0.99)),
  ).x
  rest = weights @ (values @ shares - means) ** 2
  spread = weights @ (means - weights @ means) ** 2
  return ContrastMap(
    values.reshape(_KNOTS), float(1 - rest / spread) if spread else 0.0
  )


def apply_map(
  values: np.ndarray, images: np.ndarray, *, deviation: float
) -> np.ndarray:
  """Maps [S, H, W] in [0, 1]; what is air stays 0."""
  flat = np.ravel(values)
  mapped = sum(flat[look] * share for look, share in _look(images, deviation))
  return np.where(images > AIR, mapped, 0.0)


def unchanged() -> np.ndarray:
  """The `values` of the map that leaves everything as it is, [K, L] float32."""
  intensities = np.linspace(0, 1, _KNOTS[0], dtype=np.float32)
  return np.repeat(intensities[:, None], _KNOTS[1], axis=1)


def _look(images, deviation):
  """How pixels [S, H, W] look: four (look, share) of it, each [S, H, W]."""
  surroundings = ndimage.gaussian_filter(
    images, (0, deviation, deviation), mode='constant', truncate=3
  )
  pairs = [
    _hat(each, knots)
    for each, knots in zip((images, surroundings), _KNOTS, strict=True)
  ]
  return [
    (first * _KNOTS[1] + second, share * other)
    for first, share in pairs[0]
    for second, other in pairs[1]
  ]


def _hat(values, knots):
  position = np.clip(values, 0, 1) * (knots - 1)
  below = np.minimum(position.astype(int), knots - 2)
  part = position - below
  return [(below, 1 - part), (below + 1, part)]


def _share(slices, weighted, *, looks=_KNOTS[0] * _KNOTS[1]):
  """Pixels of heads at every place, [P], and the means of what is weighted.

  Args:
    slices: [S, H, W].
    weighted: pairs of an index below `looks` and a weight, each [S, H, W].
    looks: how many.

  Returns:
    [P] counts and [looks, P]: the weights of each index, per pixel.
  """
  head = slices > AIR
  places = np.stack([_locate(mask) for mask in head])
  filled = head.sum((1, 2))
  ranks = np.argsort(np.argsort(filled, kind='stable'), kind='stable')
  level = ranks * _LEVELS // len(slices)
  places = (places + (level * _PLACES**2)[:, None, None])[head]
  total = _LEVELS * _PLACES**2
  counts = np.bincount(places, minlength=total)
  sums = sum(
    np.bincount(
      np.broadcast_to(index, slices.shape)[head] * total + places,
      weight[head],
      minlength=looks * total,
    )
    for index, weight in weighted
  )
  return counts, sums.reshape(looks, total) / np.maximum(counts, 1)


def _locate(mask):
  """The place of every pixel of a slice in the bounding box of its head."""
  fractions = []
  for axis in (0, 1):
    lines = np.flatnonzero(mask.any(1 - axis))
    first, last = (lines[0], lines[-1]) if lines.size else (0, 0)
    fraction = (np.arange(mask.shape[axis]) - first + 0.5) / (last - first + 1)
    place = np.clip(np.floor(fraction * _PLACES), 0, _PLACES - 1).astype(int)
    fractions.append(place)
  rows, columns = fractions
  columns = np.minimum(columns, _PLACES - 1 - columns)
  return rows[:, None] * _PLACES + columns
