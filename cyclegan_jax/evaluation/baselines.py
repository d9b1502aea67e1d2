"""What predicts the other contrast without a network, to compare one with.

All of them map intensities alone and know nothing of anatomy. Stacks of
pictures are floats [S, H, W] in [0, 1] with a boolean mask of the head of the
same shape; one map serves a whole stack.

The quantiles of a target domain are those of its intensities inside heads, for
probabilities from 0 to 1 in equal steps, from TRAINING scans: then
`match_histogram` and `invert_and_match` see no truth.
"""

import numpy as np


def match_histogram(
  source: np.ndarray, mask: np.ndarray, target_quantiles: np.ndarray
) -> np.ndarray:
  """Gives the head the target's distribution of intensities, in their order.

  An intensity of rank p among those in the mask becomes the target's quantile
  at p; equal ones share their mean rank. (skimage's match_histograms wants the
  target's pixels, and gives equal ones their highest rank: no order to invert.)

  Args:
    source: [S, H, W].
    mask: [S, H, W] bool.
    target_quantiles: [Q].

  Returns:
    [S, H, W] of the source's type; 0 outside the mask.
  """
  return _match(source, mask, target_quantiles)


def invert_and_match(
  source: np.ndarray, mask: np.ndarray, target_quantiles: np.ndarray
) -> np.ndarray:
  """Like `match_histogram`, in reversed order: the brightest becomes darkest.

  T1w and T2w nearly are each other's inverse inside a brain, not in fat, bone
  and air.
  """
  return _match(source, mask, target_quantiles[::-1])


def fit_pointwise(
  source: np.ndarray, truth: np.ndarray, mask: np.ndarray, *, bins: int = 256
) -> np.ndarray:
  """Finds the best map from intensity to intensity: an ORACLE.

  It is fitted on the very pairs it is then judged by, so no method that maps
  intensities pointwise can have a smaller mean squared error on them; what a
  network has above it, it knows from a pixel's surroundings. Never report it as
  a method.

  The conditional mean of the truth given the source's intensity, in bins around
  0, 1 / (bins - 1), ... 1: with 256, one for each level of an 8-bit picture.

  Args:
    source: [...] in [0, 1]; ravel and concatenate the stacks of many patients.
    truth: [...].
    mask: [...] bool; ValueError if empty.
    bins: of the map.

  Returns:
    [bins]: the truth to expect in each; in empty ones, interpolated linearly
    between the nearest that are not, and constant beyond them.
  """
  if not mask.any():
    raise ValueError('the mask is empty')
  index = _bin(source[mask], bins)
  counts = np.bincount(index, minlength=bins)
  sums = np.bincount(index, truth[mask], minlength=bins)
  filled = np.flatnonzero(counts)
  return np.interp(np.arange(bins), filled, sums[filled] / counts[filled])


def apply_pointwise(table: np.ndarray, source: np.ndarray) -> np.ndarray:
  """Looks [...] up in the [bins] of `fit_pointwise`, outside the mask too."""
  return table[_bin(source, len(table))].astype(source.dtype)


def _match(source, mask, quantiles):
  matched = np.zeros_like(source)
  values = source[mask]
  # 0 for the lowest and 1 for the highest, as np.quantile has it
  from scipy import stats  # half a second, and training has no use for it

  ranks = (stats.rankdata(values) - 1) / max(len(values) - 1, 1)
  steps = np.linspace(0, 1, len(quantiles))
  matched[mask] = np.interp(ranks, steps, quantiles)
  return matched


def _bin(source, bins):
  return np.rint(np.clip(source, 0, 1) * (bins - 1)).astype(np.intp)
