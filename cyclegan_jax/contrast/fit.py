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

from cyclegan_jax.contrast import atlas
from cyclegan_jax.mri import head

SURROUNDINGS = 3 / 64  # their deviation, as a share of a side
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

  Heads have to be upright (`atlas`). Where no place shows a head in both, the
  map is the one that changes and explains nothing.

  Args:
    source: [S, H, W] in [0, 1], about 0 in the air.
    target: [T, H, W] likewise; other slices, of other people.
    deviation: of the Gaussian that averages surroundings, pixels;
      `SURROUNDINGS` of a side that the head about fills.
  """
  from scipy import optimize  # not for those who only train without it

  counts, shares = atlas.average(
    head.find_heads(source),
    _look(source, deviation),
    size=_KNOTS[0] * _KNOTS[1],
  )
  target_heads = head.find_heads(target)
  target_counts, (means,) = atlas.average(target_heads, [(0, target)])
  weights = atlas.weigh(counts, target_counts)
  if not weights.any():
    return ContrastMap(unchanged(), 0.0)
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
    bounds=(0, np.quantile(target[target_heads], 0.99)),
  ).x
  rest = weights @ (values @ shares - means) ** 2
  spread = weights @ (means - weights @ means) ** 2
  return ContrastMap(
    values.reshape(_KNOTS), float(1 - rest / spread) if spread else 0.0
  )


def apply_map(
  values: np.ndarray, images: np.ndarray, *, deviation: float
) -> np.ndarray:
  """Maps [S, H, W] in [0, 1]; what is air stays as it is, with its noise."""
  flat = np.ravel(values)
  mapped = sum(flat[look] * share for look, share in _look(images, deviation))
  return np.where(head.find_heads(images), mapped, images)


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
    atlas.share_levels(each, knots)
    for each, knots in zip((images, surroundings), _KNOTS, strict=True)
  ]
  return [
    (first * _KNOTS[1] + second, share * other)
    for first, share in pairs[0]
    for second, other in pairs[1]
  ]
