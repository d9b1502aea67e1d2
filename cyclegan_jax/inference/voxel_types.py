"""Translated voxels in the type of the scan they were made from."""

from typing import Any

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.mri.formats import dispatch

_CLIPPED = 0.01  # a result that loses more of its voxels is none


def convert(
  voxels: np.ndarray, kind: Any, scan: dispatch.Scan, *, levels: int
) -> np.ndarray:
  """To the type of the source, in a form that every format can hold.

  Args:
    voxels: float32 [I, J, K].
    kind: the type wanted.
    scan: the source, to be named.
    levels: how far apart its smallest and its largest number must be.

  Raises:
    UserError: if that type cannot hold the result.
  """
  kind = np.dtype(kind).newbyteorder('=')
  if kind.kind == 'f':
    return voxels.astype(np.promote_types(kind, np.float32))
  if kind.itemsize > 4:
    kind = np.dtype(f'{kind.kind}4')
  limits = np.iinfo(kind)
  rounded = voxels.round()
  clipped = rounded.clip(limits.min, limits.max)
  lost = np.mean(clipped != rounded) > _CLIPPED
  if lost or np.ptp(clipped) < levels:
    raise errors.UserError(
      f'{scan.place}: {kind} cannot hold the result, which goes from '
      f'{voxels.min():.4g} to {voxels.max():.4g}; use --voxel_type=float32'
    )
  return clipped.astype(kind)
