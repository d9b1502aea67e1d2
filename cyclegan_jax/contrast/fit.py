"""How one contrast's intensities become another's, learnt without pairs.

Two domains show other people, but the same anatomy: at the same place of a head
the same mixture of tissues is to be expected. If what looks like k becomes t
with probability q(t | k), then at every place

  share of t in the target = sum over looks k of q(t | k) times the share of k

Shares are seen, q is inferred (ecological inference, Goodman 1953): a mixture
of known weights, by expectation and maximisation (Dempster et al. 1977). The
map is the mean of q. Whole distributions tell more than their means: where a
target shows nothing bright, hardly anything of the source becomes it.

Looks are a pixel's intensity and the mean of its surroundings, or its depth
below the outline of the head: either tells the fluid inside a brain from the
bone around it, both dark in T1w, the depth also fat below the skin from white
matter, both bright. How high in the head a slice is tells eyes from brain
besides. Such a map finds inverted contrasts, which matching histograms cannot,
and needs no network.
"""

import math
from typing import Any
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cyclegan_jax.contrast import atlas
from cyclegan_jax.mri import head
from cyclegan_jax.mri import levels as levels_lib

SURROUNDINGS = 3 / 64  # their deviation, as a share of a side
# What tells pixels of one intensity apart; the place is depth and level.
LOOKS = ('surroundings', 'depth', 'place')
OUTLINE = 0.3  # of the surroundings are head: a corner's share; depth is 0
_KNOTS = (12, 8)  # of intensity, of surroundings or depth
_HEIGHTS = 6  # of the level
# Pixels that are anything, as people differ: one in five. Whole heads are much
# the same from a twentieth to a third.
_STRAY = 0.2
# Of all pixels: what a look counts for its neighbours by intensity, by what is
# around it or its depth, and by level. Depths put thin layers where they are on
# average, and networks do not get them away from there, unless it is smooth; by
# place networks are kept near the map, which is better sharp (docs/quality.md).
_ALIKE = {
  'surroundings': (2e-5, 2e-5),
  'depth': (2e-5, 2e-3),
  'place': (2e-5, 2e-5, 2e-5),
}
_ROUNDS = 50
# Looks of fewer pixels are not known: they become what the nearest one does,
# sooner at another level than at another depth, and at another intensity last.
_KNOWN = 1e-5
_DISTANCES = (1.0, 0.3, 0.1)


class ContrastMap(NamedTuple):
  """What looks like this becomes that: linear between knots. Air stays air.

  Attributes:
    values: [K, L] at equally spaced intensities and depths, or means of
      surroundings, both from 0 to 1; by place [K, L, M], and levels.
    explained: share of the variance between the places of the target that it
      explains, at most 1; near or below 0, nothing is known of the contrast.
  """

  values: np.ndarray
  explained: float


def fit_map(
  source: np.ndarray,
  target: np.ndarray,
  *,
  deviation: float,
  look: str,
  levels: tuple[np.ndarray, np.ndarray] | None = None,
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
    levels: of the slices of both, [S] and [T] in [0, 1], for a map by place;
      None: the middle, and places go by how much of a slice is head.
  """
  heads, target_heads = head.find_heads(source), head.find_heads(target)
  depths = target_depths = None
  if look != 'surroundings':
    depths, target_depths = (
      measure_depth(each, deviation) for each in (heads, target_heads)
    )
  own, others = levels or (None, None)
  located = atlas.locate(heads, depths=depths, levels=own)
  wanted = atlas.locate(target_heads, depths=target_depths, levels=others)
  weights = atlas.weigh(located.count(), wanted.count())
  seen = weights > 0
  if not seen.any():
    return ContrastMap(unchanged(look), 0.0)
  knots = unchanged(look).shape
  _, shares = atlas.average(
    heads,
    _look(source, look, depths, deviation, own),
    size=math.prod(knots),
    located=located,
    kept=seen,
  )
  _, found = atlas.histograms(target_heads, target, located=wanted, kept=seen)
  weights, steps = weights[seen], np.linspace(0, 1, len(found))
  values = _infer(shares, found, weights, knots, _ALIKE[look]) @ steps
  means = steps @ found
  rest = weights @ (values @ shares - means) ** 2
  spread = weights @ (means - weights @ means) ** 2
  # A target of one grey differs by what sums are rounded by.
  explained = float(1 - rest / spread) if spread > 1e-12 else 0.0
  return ContrastMap(_fill(values, shares @ weights, knots), explained)


def _infer(shares, wanted, weights, knots, alike):
  """With what probability each look becomes each step of the target.

  Args:
    shares: of K looks at P places, [K, P].
    wanted: the target's histograms there, [T, P].
    weights: of the places, [P].
    knots: of the looks, whose product is K.
    alike: for each of these, what a look counts for its neighbours.

  Returns:
    [K, T].
  """
  overall = wanted @ weights
  becomes = np.tile(overall, (len(shares), 1))
  for _ in range(_ROUNDS):
    likely = (1 - _STRAY) * becomes.T @ shares + _STRAY * overall[:, None]
    met = weights * wanted / np.maximum(likely, 1e-12)
    becomes = becomes * (shares @ met.T) + _add_neighbours(
      becomes, knots, alike
    )
    becomes /= becomes.sum(1, keepdims=True)
  return becomes


def _add_neighbours(values, knots, weights):
  """Sums over the looks beside each, weighted by axis, of values [K, T]."""
  grid = values.reshape(*knots, -1)
  sums = sum(
    ndimage.correlate1d(grid, (weight, 0, weight), axis, mode='constant')
    for axis, weight in enumerate(weights)
  )
  return np.reshape(sums, values.shape)


def _fill(values, masses, knots):
  """Values [K] as `knots`, and unknown ones as those of the nearest look."""
  nearest: Any = ndimage.distance_transform_edt(
    masses.reshape(knots) < _KNOWN,
    sampling=_DISTANCES[: len(knots)],
    return_distances=False,
    return_indices=True,
  )
  return values.reshape(knots)[tuple(nearest)]


def apply_map(
  values: np.ndarray,
  images: np.ndarray,
  *,
  deviation: float,
  look: str,
  levels: np.ndarray | None = None,
) -> np.ndarray:
  """Maps [S, H, W] in [0, 1]; what is air stays as it is, with its noise.

  Args:
    values: of a map.
    images: as said.
    deviation: as in `fit_map`.
    look: likewise.
    levels: likewise, of the slices, [S].
  """
  flat, heads = np.ravel(values), head.find_heads(images)
  depths = None
  if look != 'surroundings':
    depths = measure_depth(heads, deviation)
  looks = _look(images, look, depths, deviation, levels)
  return np.where(heads, sum(flat[k] * share for k, share in looks), images)


def measure_depth(heads: np.ndarray, deviation: float) -> np.ndarray:
  """How deep below the outline pixels are: [S, H, W] bool to [0, 1].

  By how much of the surroundings is head: 0.3 at a straight outline, less at
  corners and outside, about 1 from two deviations below.
  """
  around = _blur(heads.astype(np.float32), deviation)
  return np.clip((around - OUTLINE) / (1 - OUTLINE), 0, 1)


def unchanged(look: str) -> np.ndarray:
  """The float32 `values` of the map that leaves everything as it is."""
  intensities = np.linspace(0, 1, _KNOTS[0], dtype=np.float32)
  values = np.repeat(intensities[:, None], _KNOTS[1], axis=1)
  if look == 'place':
    values = np.repeat(values[..., None], _HEIGHTS, axis=2)
  return values


def _blur(images, deviation):
  return ndimage.gaussian_filter(
    images, (0, deviation, deviation), mode='constant', truncate=3
  )


def _look(images, look, depths, deviation, levels):
  """How pixels look by their intensities and their depths or surroundings.

  Four (look, share) of each pixel, each [S, H, W]; by place eight.
  """
  others = _blur(images, deviation) if depths is None else depths
  pairs = [
    atlas.share_levels(each, knots)
    for each, knots in zip((images, others), _KNOTS, strict=True)
  ]
  looks = [
    (first * _KNOTS[1] + second, share * other)
    for first, share in pairs[0]
    for second, other in pairs[1]
  ]
  if look != 'place':
    return looks
  if levels is None:
    levels = np.full(len(images), levels_lib.MIDDLE)
  heights = atlas.share_levels(levels[:, None, None], _HEIGHTS)
  return [
    (place * _HEIGHTS + height, share * other)
    for place, share in looks
    for height, other in heights
  ]
