"""What is inside of a head, found without a tool: its level, and its skull."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from cyclegan_jax import errors
from cyclegan_jax.mri import head
from cyclegan_jax.mri import intensity

# Of the deepest place of a head: what lies deeper is inside, brain and fluid.
_INSIDE = 1 / 3
# Shells of 2 mm in which a skull lies, mm below the outline, and how dark a
# quarter of one is there, of the middle of the head: up to 0.2 in whole heads,
# 0.5 and more in brains alone.
_SHELLS, _DEEP, _DARK = range(4, 16, 2), 25, 0.35


def measure_level(images: np.ndarray, pixel_sizes: Sequence[float]) -> float:
  """The median intensity inside of the head, in scanner units.

  Args:
    images: axial slices of one scan, [S, H, W], in scanner units.
    pixel_sizes: mm between rows, columns.

  Raises:
    UserError: if no head is seen, or its inside is as dark as the air.
  """
  scaling = intensity.fit_scaling(images)
  heads = head.find_heads((intensity.to_unit(images, scaling) + 1) / 2)
  images, depths = _measure_depths(images, heads, pixel_sizes)
  deep = depths > _INSIDE * depths.max()
  if not deep.any():
    raise errors.UserError('no head is seen in it')
  level = float(np.median(images[deep]))
  if level <= scaling.intensities[1]:
    raise errors.UserError(
      'the inside of the head is as dark as the air: take another scaling, '
      'such as percentile (data.intensity_a, data.intensity_b)'
    )
  return level


def shows_skull(
  images: np.ndarray, heads: np.ndarray, pixel_sizes: Sequence[float]
) -> bool:
  """Whether heads are whole: a dark skull lies between scalp and brain.

  Args:
    images: [S, H, W] of one MR scan, axial, air 0 and the brightest tissue 1.
    heads: where they show it, from `head.find_heads`.
    pixel_sizes: mm between rows, columns.
  """
  images, depths = _measure_depths(images, heads, pixel_sizes)
  middle = images[depths > _DEEP]
  shells = [
    images[(depths > start) & (depths <= start + 2)] for start in _SHELLS
  ]
  if not len(middle) or not all(map(len, shells)):
    return False
  darkest = min(float(np.quantile(shell, 0.25)) for shell in shells)
  return darkest < _DARK * float(np.median(middle))


def _measure_depths(images, heads, pixel_sizes):
  """The third of the slices with most head, no neck, and mm below outlines."""
  shares = heads.mean(axis=(1, 2))
  rows = np.sort(np.argsort(shares)[-max(len(shares) // 3, 1) :])
  measure: Any = ndimage.distance_transform_edt
  depths = [
    measure(np.pad(mask, 1), sampling=pixel_sizes) for mask in heads[rows]
  ]
  return images[rows], np.stack(depths)[:, 1:-1, 1:-1]
