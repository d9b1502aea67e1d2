"""How one contrast's intensities become another's, learnt without pairs.

Two domains show other people, but the same anatomy: at the same place of a head
the same mixture of tissues is to be expected. If a map m of what a pixel looks
like turns one contrast into the other, then at every place

  mean of the target = sum over looks k of m(k) times the share of k there

which is a linear regression for m (ecological regression, Goodman 1953). Looks
are a pixel's intensity and the mean of its surroundings, or its depth below the
outline of the head: either tells the fluid inside a brain from the bone around
it, both dark in T1w, the depth also fat below the skin from white matter, both
bright. Such a map finds inverted contrasts, which matching histograms cannot,
and needs no network.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cyclegan_jax.contrast import atlas
from cyclegan_jax.mri import head

SURROUNDINGS = 3 / 64  # their deviation, as a share of a side
LOOKS = ('surroundings', 'depth')
OUTLINE = 0.3  # of the surroundings are head: a corner's share; depth is 0
# Found on T1w and T2w of two people, and much the same a factor of 3 around.
_KNOTS = (12, 8)  # of intensity, of surroundings
_BENDING, _SLOPE = 1e-3, 1e-3


class ContrastMap(NamedTuple):
  """What looks like this becomes that: bilinear between knots. Air stays air.

  Attributes:
    values: [K, L] at equally spaced intensities and depths, or means of
      surroundings, both from 0 to 1.
    explained: share of the variance between the places of the target that it
      explains, at most 1; near or below 0, nothing is known of the contrast.
  """

  values: np.ndarray
  explained: float


def fit_map(
  source: np.ndarray, target: np.ndarray, *, deviation: float, look: str
) -> ContrastMap:
  """Finds the map from one contrast to another in unpaired slices.

  Heads have to be upright (`atlas`). Where no place shows a head in both, the
  map is the one that changes and explains nothing.

  Args:
    source: [S, H, W] in [0, 1], about 0 in the air.
    target: [T, H, W] likewise; other slices, of other people.
    deviation: of the Gaussian that averages surroundings, pixels;
      `SURROUNDINGS` of a side that the head about fills.
    look: what tells pixels of one intensity apart, one of `LOOKS`.
  """
  from scipy import optimize  # not for those who only train without it

  heads, target_heads = head.find_heads(source), head.find_heads(target)
  depths = target_depths = None
  if look == 'depth':
    depths, target_depths = (
      measure_depth(each, deviation) for each in (heads, target_heads)
    )
  counts, shares = atlas.average(
    heads,
    _look(source, _blur(source, deviation) if depths is None else depths),
    size=_KNOTS[0] * _KNOTS[1],
    depths=depths,
  )
  target_counts, (means,) = atlas.average(
    target_heads, [(0, target)], depths=target_depths
  )
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
  values: np.ndarray, images: np.ndarray, *, deviation: float, look: str
) -> np.ndarray:
  """Maps [S, H, W] in [0, 1]; what is air stays as it is, with its noise."""
  flat, heads = np.ravel(values), head.find_heads(images)
  if look == 'depth':
    looks = _look(images, measure_depth(heads, deviation))
  else:
    looks = _look(images, _blur(images, deviation))
  return np.where(heads, sum(flat[k] * share for k, share in looks), images)


def measure_depth(heads: np.ndarray, deviation: float) -> np.ndarray:
  """How deep below the outline pixels are: [S, H, W] bool to [0, 1].

  By how much of the surroundings is head: 0.3 at a straight outline, less at
  corners and outside, about 1 from two deviations below.
  """
  around = _blur(heads.astype(np.float32), deviation)
  return np.clip((around - OUTLINE) / (1 - OUTLINE), 0, 1)


def unchanged() -> np.ndarray:
  """The `values` of the map that leaves everything as it is, [K, L] float32."""
  intensities = np.linspace(0, 1, _KNOTS[0], dtype=np.float32)
  return np.repeat(intensities[:, None], _KNOTS[1], axis=1)


def _blur(images, deviation):
  return ndimage.gaussian_filter(
    images, (0, deviation, deviation), mode='constant', truncate=3
  )


def _look(images, others):
  """How pixels look by their intensities and their depths or surroundings.

  Four (look, share) of each pixel, each [S, H, W], as both arguments are.
  """
  pairs = [
    atlas.share_levels(each, knots)
    for each, knots in zip((images, others), _KNOTS, strict=True)
  ]
  return [
    (first * _KNOTS[1] + second, share * other)
    for first, share in pairs[0]
    for second, other in pairs[1]
  ]
