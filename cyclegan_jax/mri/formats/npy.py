"""NumPy's .npy: a slice [H, W] or a stack [S, H, W], as it is looked at."""

import io
import math
import pathlib

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import limits


def read(path: pathlib.Path, *, index: int | None = None) -> volume_lib.Volume:
  """Reads an array; it has no geometry.

  Raises:
    UserError: if it cannot be read, declares more than is read or than there
      is, or holds anything but real numbers.
  """
  try:
    _check_header(path)
    voxels = np.load(path, allow_pickle=False)
  except errors.UserError:
    raise
  except Exception as error:  # of the header's Python, too
    raise errors.UserError(
      f'{path} cannot be read: {limits.explain(error)}; copy it again, or take '
      'it out'
    ) from None
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
  content = io.BytesIO()  # to a file NumPy writes without telling what failed
  np.save(content, voxels)
  path.write_bytes(content.getbuffer())


def _check_header(path):
  """Refuses what `np.load` is not to be handed."""
  with path.open('rb') as file:
    pickled = file.read(1) == b'\x80'
    file.seek(0)
    begins = file.read(len(np.lib.format.MAGIC_PREFIX))
    file.seek(0)
    if not pickled and begins != np.lib.format.MAGIC_PREFIX:
      raise errors.UserError(
        f'{path} is not an .npy file: it does not begin as one; save it with '
        'np.save'
      )
    if not pickled:
      version = np.lib.format.read_magic(file)
      if version == (1, 0):
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
      else:
        shape, _, kind = np.lib.format.read_array_header_2_0(file)
      pickled = kind.hasobject
    if pickled:
      raise errors.UserError(
        f'{path} holds a pickle, which can run programs when it is read; save '
        'its numbers alone, np.save(..., allow_pickle=False)'
      )
    if kind.kind not in 'iuf':
      raise errors.UserError(f'{path} holds {kind}, not real numbers')
    stored = path.stat().st_size - file.tell()
    limits.check_stored(path, math.prod(shape) * kind.itemsize, stored)
    limits.check_shape(path, shape)
