"""NIfTI-1 and NIfTI-2, compressed or not."""

import gzip
import json
import math
import pathlib
import struct
from typing import Any

import nibabel as nib
from nibabel import filebasedimages
from nibabel import nifti1
import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import limits

_CLASSES = {  # by the first four bytes, little-endian
  struct.pack('<i', image.header_class.sizeof_hdr): image
  for image in (nib.Nifti1Image, nib.Nifti2Image)
}


def read(path: pathlib.Path, *, index: int | None = None) -> volume_lib.Volume:
  """Reads one scan.

  Args:
    path: of a .nii or .nii.gz file.
    index: which volume of a 4-D file.

  Returns:
    Voxels in their stored type, or float32 where the header scales them.

  Raises:
    UserError: if it is no NIfTI file, broken, of no 3-D scan, in colour, or
      declares more than is read or than there is.
  """
  try:
    image: Any = _check(path).from_filename(path)
    shape, kind = image.shape, image.get_data_dtype()
    if kind.fields or kind.kind not in 'iuf':
      raise errors.UserError(
        f'{path} holds {kind} voxels, not single real numbers; save the '
        'magnitude or one channel'
      )
    picked = volume_lib.select_volume(path, shape, index)
    limits.check_shape(path, shape[:3])
    voxels = np.asanyarray(image.dataobj[picked])
  except errors.UserError:
    raise
  except filebasedimages.ImageFileError as error:
    raise errors.UserError(f'{path} is not a NIfTI file: {error}') from None
  except Exception as error:  # gzip, zlib, struct and more: it is broken
    reason = ' '.join(str(error).split()) or type(error).__name__
    raise errors.UserError(f'{path} cannot be read: {reason}') from None
  if voxels.dtype.kind == 'f':
    voxels = voxels.astype(_float_type(voxels))
  return volume_lib.Volume(
    voxels=voxels.reshape(voxels.shape[:3]),
    affine=np.array(image.affine, float),
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


def _check(path) -> Any:
  """The class of image that a file holds; reads a packed file to its end.

  There stands its checksum, which reading voxels need not come to.
  """
  packed = path.suffix.lower() == '.gz'
  with gzip.open(path) if packed else path.open('rb') as file:
    start = file.read(nib.Nifti2Header.sizeof_hdr)
    size = {start[:4], start[3::-1]} & set(_CLASSES)
    if not size:
      raise errors.UserError(
        f'{path} is not a NIfTI file: it does not begin as one'
      )
    image = _CLASSES[size.pop()]
    header = image.header_class(start[: image.header_class.sizeof_hdr])
    offset = header.get_data_offset()
    if not 0 <= offset <= limits.MAX_HEADER:
      raise errors.UserError(
        f'{path} cannot be read: it declares its voxels at byte {offset:,}; '
        'copy it again, or take it out'
      )
    _check_extensions(path, file, header, offset)
    declared = math.prod(map(int, header.get_data_shape()))
    declared *= header.get_data_dtype().itemsize
    if packed:
      limits.check_packed(path, declared, path.stat().st_size)
      stored = file.tell() + limits.measure(path, file, offset + declared)
    else:
      stored = path.stat().st_size
  limits.check_stored(path, declared, stored - offset)
  return image


def _check_extensions(path, file, header, offset):
  """Refuses extensions that do not end before the voxels."""
  file.seek(header.sizeof_hdr)
  start, place = file.read(4), file.tell()
  while start[:1] > b'\0' and place + 16 <= offset:
    (size,) = struct.unpack(f'{header.endianness}i4x', file.read(8))
    if not 16 <= size <= offset - place:
      raise errors.UserError(
        f'{path} cannot be read: it declares an extension of {size:,} bytes '
        'before its voxels; copy it again, or take it out'
      )
    place += size
    file.seek(place)


def _float_type(voxels):
  """float32, unless that would overflow."""
  finite = voxels[np.isfinite(voxels)]
  big = finite.size and np.abs(finite).max() > np.finfo(np.float32).max
  return np.float64 if big else np.float32
