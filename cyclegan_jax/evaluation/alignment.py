"""Two scans of a patient on one grid: the truth where the translation lies."""

import dataclasses

import numpy as np
from skimage import filters

from cyclegan_jax.mri import registration
from cyclegan_jax.mri import volume as volume_lib

# mm: less is what is missed in finding it; more is another mistake, which
# `cases.check_offset` tells.
_MOVED, _LOST = 1.0, 40.0


def bring_onto(
  fixed: volume_lib.Volume, moving: volume_lib.Volume
) -> tuple[volume_lib.Volume, list[str]]:
  """A patient's other scan on the grid of the first.

  Moved back, if the head has turned or moved from one to the other: by what the
  two scans tell alone, whatever is translated.

  Args:
    fixed: of one contrast.
    moving: of the other, on any grid.

  Returns:
    The other scan, and what was done to it, in words that follow its name.
  """
  notes, found = [], moving
  if not _share_grid(fixed, moving):
    found = _resample(moving, fixed)
    notes.append('lies on another grid than its pair: resampled to it')
  if fixed.measured and moving.measured:
    distance, motion = _find_motion(fixed, found)
    if _MOVED <= distance < _LOST:
      found = _resample(registration.move_back(moving, motion), fixed)
      notes.append(
        f'shows the head {distance:.1f} mm from where its pair does, on '
        'average: moved back before it is compared'
      )
  return found, notes


def _resample(moving, fixed):
  voxels = registration.resample_like(moving, fixed)
  return dataclasses.replace(fixed, voxels=voxels)


def _find_motion(fixed, found):
  """By how many mm the head has moved, and how; 0 where it cannot be told."""
  try:
    motion = registration.estimate_motion(
      fixed.voxels, found.voxels, fixed.affine
    )
  except ValueError:  # `cases.check_offset` says why
    return 0.0, np.eye(4)
  shown = fixed.voxels > filters.threshold_otsu(fixed.voxels)
  return registration.measure_motion(motion, fixed, shown), motion


def _share_grid(first, second):
  return first.voxels.shape == second.voxels.shape and np.allclose(
    first.affine, second.affine, atol=1e-3
  )
