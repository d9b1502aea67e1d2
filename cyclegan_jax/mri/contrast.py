"""How one contrast's intensities become another's, learnt without pairs.

Two domains show other people, but the same anatomy: at the same place of a head
the same mixture of tissues is to be expected. If an intensity map m turns one
contrast into the other, then at every place

  mean of the target = sum over intensities k of m(k) share of k in the source

which is a linear regression for m (ecological regression, Goodman 1953). It
finds inverted contrasts and maps that rise and fall, which matching histograms
cannot; it knows nothing of a pixel's surroundings.
"""

from typing import NamedTuple

import numpy as np

AIR = 0.02  # of the range; as in metrics.head_mask
_PLACES = 24  # along either side of a head's bounding box
_LEVELS = 6  # groups of slices by how much of them the head fills
_KNOTS = 16
_SMOOTHNESS = 1e-3  # found on T1w and T2w of two people; a decade is 1 dB


class IntensityMap(NamedTuple):
  """A piecewise linear map of [0, 1].

  Attributes:
    values: [K], at K equally spaced intensities from 0 to 1. Air stays air.
    explained: share of the variance between the places of the target that it
      explains, at most 1; near or below 0, nothing is known of the contrast.
  """

  values: np.ndarray
  explained: float


def fit_map(source: np.ndarray, target: np.ndarray) -> IntensityMap:
  """Finds the map from one contrast to another in unpaired slices.

  Heads have to be upright, not centred: a place is a fraction of the head's
  bounding box in its slice, left and right taken together, in slices that the
  head fills about as much.

  Args:
    source: [S, H, W] in [0, 1], 0 in the air.
    target: [T, H, W] likewise; other slices, of other people.

  Raises:
    ValueError: if either shows no head.
  """
  from scipy import optimize  # not for those who only train without it

  counts, shares, _ = _average(source)
  target_counts, _, means = _average(target)
  weights = np.minimum(counts, target_counts).astype(np.float64)
  if not weights.any():
    raise ValueError('no place shows a head in both contrasts')
  weights /= weights.sum()
  roots = np.sqrt(weights)
  bends = np.diff(np.eye(_KNOTS), 2, axis=0)
  inside = target[target > AIR]
  values = optimize.lsq_linear(
    np.vstack([roots[:, None] * shares, np.sqrt(_SMOOTHNESS) * bends]),
    np.concatenate([roots * means, np.zeros(len(bends))]),
    bounds=(0, np.quantile(inside, 0.99)),
  ).x
  rest = weights @ (shares @ values - means) ** 2
  spread = weights @ (means - weights @ means) ** 2
  return IntensityMap(values, float(1 - rest / spread) if spread else 0.0)


def apply_map(values: np.ndarray, images: np.ndarray) -> np.ndarray:
  """Maps [...] in [0, 1]; what is air stays 0."""
  knots = np.linspace(0, 1, len(values))
  return np.where(images > AIR, np.interp(images, knots, values), 0.0)


def _average(slices):
  """Pixels at every place, their shares by intensity, and their mean.

  Returns:
    [P] counts, [P, K] shares (hat functions around the K knots), [P] means.
  """
  head = slices > AIR
  places = np.stack([_locate(mask) for mask in head])
  filled = head.sum((1, 2))
  ranks = np.argsort(np.argsort(filled, kind='stable'), kind='stable')
  level = ranks * _LEVELS // len(slices)
  places += (level * _PLACES**2)[:, None, None]
  total = _LEVELS * _PLACES**2

  places, values = places[head], slices[head]
  counts = np.bincount(places, minlength=total)
  at_least_one = np.maximum(counts, 1)
  means = np.bincount(places, values, minlength=total) / at_least_one
  position = np.clip(values, 0, 1) * (_KNOTS - 1)
  below = np.minimum(position.astype(int), _KNOTS - 2)
  part = position - below
  shares = sum(
    np.bincount(places * _KNOTS + below + step, share, minlength=total * _KNOTS)
    for step, share in ((0, 1 - part), (1, part))
  ).reshape(total, _KNOTS)
  return counts, shares / at_least_one[:, None], means


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


def place_distance(images: np.ndarray, target: np.ndarray) -> float:
  """How differently images and target are distributed at the same places.

  The 1-Wasserstein distance of their intensities at a place, averaged over all
  places of `fit_map`. Unlike that of whole histograms it sees dark ventricles
  where bright ones belong; it needs no pairs.

  Args:
    images: [S, H, W] in [0, 1], translations of scans of upright heads.
    target: [T, H, W] likewise, scans of the contrast they should have.
  """
  counts, shares, _ = _average(images)
  target_counts, target_shares, _ = _average(target)
  weights = np.minimum(counts, target_counts)
  if not weights.any():
    raise ValueError('no place shows a head in both contrasts')
  moved = np.abs(np.cumsum(shares - target_shares, axis=1)).sum(1)
  return float(np.average(moved, weights=weights) / (_KNOTS - 1))
