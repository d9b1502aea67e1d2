"""NumPy's .npy: a slice [H, W] or a stack [S, H, W], as it is looked at."""

import pathlib

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.mri import volume as volume_lib


def read(path: pathlib.Path, *, index: int | None = None) -> volume_lib.Volume:
  """Reads an array; it has no geometry.

  Raises:
    UserError: if it cannot be read or holds anything but real numbers.
  """
  try:
    voxels = np.load(path, allow_pickle=False)
  except (OSError, ValueError, EOFError) as error:
    raise errors.UserError(f'{path} cannot be read: {error}') from None
  if voxels.dtype.kind not in 'iuf':
    raise errors.UserError(f'{path} holds {voxels.dtype}, not real numbers')
  if voxels.ndim == 2:
    voxels = voxels[None]
  voxels = volume_lib.take_volume(path, voxels, index)
  return volume_lib.Volume(
    voxels=voxels, affine=volume_lib.display_affine(), measured=False
  )


def write(
  path: pathlib.Path,
  voxels: np.ndarray,
  like: volume_lib.Volume,
  provenance: volume_lib.Provenance,
):
  """Writes voxels [I, J, K]; the provenance is left to the JSON beside it."""
  del like, provenance
  with path.open('wb') as file:
    np.save(file, voxels)
