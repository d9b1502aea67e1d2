"""A translation beside its source, for a person to look at."""

import numpy as np

from cyclegan_jax.mri import head
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.reporting import pictures


def draw(volume, scaling, fake, target, domains):
  """Three planes through the middle of the head, the translation below.

  Args:
    volume: the source.
    scaling: of its intensities.
    fake: its translation.
    target: of the translation's intensities.
    domains: names of the two contrasts.
  """
  rows = []
  center = None
  for each, knots in ((volume, scaling), (fake, target)):
    unit = intensity.to_unit(each.voxels, knots)
    if center is None:
      images = volume_lib.to_plane(unit, each.affine, 'axial')
      mask = volume_lib.from_plane(
        head.find_heads((images + 1) / 2), each.affine, 'axial'
      )
      center = [
        int(np.flatnonzero(mask.any(axis=others)).mean())
        if mask.any()
        else mask.shape[axis] // 2
        for axis, others in enumerate(((1, 2), (0, 2), (0, 1)))
      ]
    rows.append(_cut(unit, each.affine, center))
  labels = (f'{domains[0]}\nsource', f'{domains[1]}\nsynthetic')
  return pictures.draw_planes(
    list(zip(labels, rows, strict=True)),
    caption=f'{domains[0]} to {domains[1]}',
    pixel_sizes=tuple(
      volume_lib.plane_spacing(volume.affine, plane)[1:]
      for plane in volume_lib.PLANES
    ),
  )


def _cut(unit, affine, center):
  """The planes through a voxel, [H, W] in [0, 1]."""
  marked = np.zeros(unit.shape, bool)
  marked[tuple(center)] = True
  cuts = []
  for plane in volume_lib.PLANES:
    at = np.argwhere(volume_lib.to_plane(marked, affine, plane))[0, 0]
    cuts.append((volume_lib.to_plane(unit, affine, plane)[at] + 1) / 2)
  return cuts
