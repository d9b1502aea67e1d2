"""NIfTI-1 and NIfTI-2, compressed or not."""

from collections.abc import Iterator
import dataclasses
import gzip
import json
import logging
import math
import pathlib
import struct
from typing import Any

import nibabel as nib
from nibabel import nifti1
import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import limits

_CLASSES = {  # by the first four bytes, little-endian
  struct.pack('<i', image.header_class.sizeof_hdr): image
  for image in (nib.Nifti1Image, nib.Nifti2Image)
}

# Whatever matters of what it logs, it raises as well, or is noted here.
logging.getLogger('nibabel.global').setLevel(logging.CRITICAL)


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
    image_class, stored = _check(path)
    image: Any = image_class.from_filename(path)
    notes = tuple(_note_assumed(stored))
    return dataclasses.replace(from_image(path, image, index), notes=notes)
  except errors.UserError:
    raise
  except Exception as error:  # gzip, zlib, struct and more: it is broken
    raise errors.UserError(
      f'{path} cannot be read: {limits.explain(error)}; copy it again, or take '
      'it out'
    ) from None


def from_image(
  place: object, image: Any, index: int | None = None
) -> volume_lib.Volume:
  """The scan of a nibabel image.

  Args:
    place: what to call it.
    image: with a spatial affine: NIfTI, or another that nibabel reads.
    index: which volume of a 4-D image.

  Raises:
    UserError: if it is no 3-D scan, or in colour.
  """
  kind = np.dtype(image.get_data_dtype())
  if kind.fields or kind.kind not in 'iuf':
    raise errors.UserError(
      f'{place} holds {kind} voxels, not single real numbers; save the '
      'magnitude or one channel'
    )
  picked = volume_lib.select_volume(place, image.shape, index)
  voxels = np.asanyarray(image.dataobj[picked])
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
  """Writes voxels [I, J, K] on the grid of `like`, as `to_image` has them."""
  nib.save(to_image(voxels, like, provenance), path)


def to_image(
  voxels: np.ndarray,
  like: volume_lib.Volume,
  provenance: volume_lib.Provenance,
) -> nib.Nifti1Image:
  """A NIfTI image of voxels [I, J, K] on the grid of `like`, in their own type.

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
  return image


def _check(path) -> tuple[Any, Any]:
  """The class of image that a file holds, and its header as it stands there.

  A packed file is read to its end.
  """
  packed = path.suffix.lower() == '.gz'
  if packed and not limits.is_gzip(path):
    raise errors.UserError(
      f'{path} cannot be read: it is not packed by gzip, as its name says; '
      'name it .nii, or copy it again'
    )
  with gzip.open(path) if packed else path.open('rb') as file:
    start = file.read(nib.Nifti2Header.sizeof_hdr)
    size = {start[:4], start[3::-1]} & set(_CLASSES)
    if not size:
      raise errors.UserError(
        f'{path} is not a NIfTI file: it does not begin as one'
      )
    image = _CLASSES[size.pop()]
    # As it stands: the library's check mends it, or tells it in its words.
    binary = start[: image.header_class.sizeof_hdr]
    header = image.header_class(binary, check=False)
    _check_fields(path, header)
    offset = int(header['vox_offset'])
    _check_extensions(path, file, header, offset)
    shape = header.get_data_shape()
    declared = math.prod(map(int, shape)) * header.get_data_dtype().itemsize
    stored = path.stat().st_size
    if packed:
      limits.check_packed(path, declared, stored)
    else:
      limits.check_stored(path, declared, stored - offset)
    limits.check_shape(path, shape[:3])
    limits.check_shape(path, shape[3:])
    if packed:
      stored = file.tell() + limits.measure(path, file, offset + declared)
      limits.check_stored(path, declared, stored - offset)
  return image, header


def _check_fields(path, header):
  """Refuses what the library would tell in its own words, or would guess."""
  if not 1 <= header['dim'][0] <= 7:
    raise errors.UserError(
      f'{path} cannot be read: its header does not say how many dimensions it '
      'has; copy it again, or take it out'
    )
  offset = header['vox_offset']
  # Below it the header itself would be read as voxels. NaN lies nowhere.
  if not header.single_vox_offset <= offset <= limits.MAX_HEADER:
    raise errors.UserError(
      f'{path} cannot be read: it declares its voxels at byte {offset:,.0f}; '
      'copy it again, or take it out'
    )
  try:
    header.get_data_dtype()
  except KeyError:
    raise errors.UserError(
      f'{path} holds voxels of a type that NIfTI does not know, '
      f'{int(header["datatype"])}; copy it again, or take it out'
    ) from None


def _note_assumed(header) -> Iterator[str]:
  """What a header leaves open that its affine depends on."""
  if header['sform_code'] > 0:
    return
  if not header['pixdim'][1:4].all():
    yield 'NIfTI gives a voxel spacing of 0; 1 mm assumed'
  if header['qform_code'] <= 0:
    yield (
      'NIfTI gives no orientation (qform and sform codes are 0); axes assumed '
      'to run to the left, to anterior and up'
    )


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
  """float32, unless the numbers are too large for it, or all too small."""
  finite = voxels[np.isfinite(voxels)]
  largest = np.abs(finite).max(initial=0)
  limits32 = np.finfo(np.float32)
  fits = not largest or limits32.tiny <= largest <= limits32.max
  return np.float32 if fits else np.float64
