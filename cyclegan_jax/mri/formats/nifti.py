"""NIfTI-1 and NIfTI-2, compressed or not."""

import gzip
import json
import pathlib
from typing import Any

import nibabel as nib
from nibabel import filebasedimages
from nibabel import nifti1
import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.mri import volume as volume_lib


def read(path: pathlib.Path, *, index: int | None = None) -> volume_lib.Volume:
  """Reads one scan.

  Args:
    path: of a .nii or .nii.gz file.
    index: which volume of a 4-D file.

  Returns:
    Voxels in their stored type, or float32 where the header scales them.

  Raises:
    UserError: if it is no NIfTI file, broken, of no 3-D scan, or in colour.
  """
  try:
    image: Any = nib.load(path)
    shape, kind = image.shape, image.get_data_dtype()
    if kind.fields or kind.kind not in 'iuf':
      raise errors.UserError(
        f'{path} holds {kind} voxels, not single real numbers; save the '
        'magnitude or one channel'
      )
    picked = volume_lib.select_volume(path, shape, index)
    voxels = np.asanyarray(image.dataobj[picked])
    if path.suffix.lower() == '.gz':
      _check_sum(path)
  except errors.UserError:
    raise
  except filebasedimages.ImageFileError as error:
    raise errors.UserError(f'{path} is not a NIfTI file: {error}') from None
  except Exception as error:  # gzip, zlib, struct and more: it is broken
    reason = ' '.join(str(error).split()) or type(error).__name__
    raise errors.UserError(f'{path} cannot be read: {reason}') from None
  affine = np.array(image.affine, float)
  if not np.isfinite(affine).all() or not np.linalg.det(affine[:3, :3]):
    raise errors.UserError(
      f'{path} does not say where its voxels lie: its affine is '
      f'{affine[:3].tolist()}'
    )
  if voxels.dtype.kind == 'f':
    voxels = voxels.astype(_float_type(voxels))
  return volume_lib.Volume(
    voxels=voxels.reshape(voxels.shape[:3]),
    affine=affine,
    header=image.header,
  )


def write(
  path: pathlib.Path,
  voxels: np.ndarray,
  like: volume_lib.Volume,
  provenance: volume_lib.Provenance,
):
  """Writes voxels [I, J, K] on the grid of `like`, in their own type.

  A source that was NIfTI gives its version, units, qform and sform with their
  codes; any other gives its affine, in scanner coordinates.
  """
  source = like.header
  two = isinstance(source, nib.Nifti2Header)
  image = (nib.Nifti2Image if two else nib.Nifti1Image)(voxels, like.affine)
  header = image.header
  header.set_xyzt_units('mm')
  if isinstance(source, nib.Nifti1Header):  # Nifti2Header is a subclass
    for field in (
      *('qform_code', 'sform_code', 'quatern_b', 'quatern_c', 'quatern_d'),
      *('qoffset_x', 'qoffset_y', 'qoffset_z', 'srow_x', 'srow_y', 'srow_z'),
      'xyzt_units',
    ):
      header[field] = source[field]
    header['pixdim'][:4] = source['pixdim'][:4]
  else:
    image.set_qform(like.affine, code=1)
    image.set_sform(like.affine, code=1)
  header['descrip'] = provenance.plain_description  # 80 bytes of ASCII
  comment = json.dumps(provenance.details, ensure_ascii=False).encode()
  header.extensions.append(nifti1.Nifti1Extension('comment', comment))
  nib.save(image, path)


def _check_sum(path):
  """Raises if a compressed file is damaged.

  Its checksum stands at the end, which reading voxels need not come to.
  """
  with gzip.open(path) as file:
    while file.read(2**24):
      pass


def _float_type(voxels):
  """float32, unless that would overflow."""
  finite = voxels[np.isfinite(voxels)]
  big = finite.size and np.abs(finite).max() > np.finfo(np.float32).max
  return np.float64 if big else np.float32
