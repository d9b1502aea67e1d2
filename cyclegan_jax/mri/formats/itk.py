"""NRRD and MetaImage, through SimpleITK."""

import dataclasses
import errno
import pathlib
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk

from cyclegan_jax import errors
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import itk_header

_SPACE = (b'space:', b'space directions:', b'space origin:')
_SHEAR = 1e-3  # of a direction cosine


def read(path: pathlib.Path, *, index: int | None = None) -> volume_lib.Volume:
  """Reads one scan in its stored type.

  Args:
    path: of a .nrrd, .nhdr, .mha or .mhd file.
    index: which volume of a 4-D file.

  Raises:
    UserError: if it cannot be read, leads to other folders, declares more than
      is read or than there is, or is no 3-D scan.
  """
  itk_header.check(path)
  sitk.ProcessObject.SetGlobalWarningDisplay(False)
  try:
    image = sitk.ReadImage(str(path))
  except (RuntimeError, MemoryError) as error:
    reason = (str(error).strip() or 'too large').splitlines()[-1].strip()
    raise errors.UserError(f'{path} cannot be read: {reason}') from None
  volume = from_image(path, image, index)
  lines = _read_lines(path) if image.GetDimension() == 3 else ()
  geometry = volume.header._replace(lines=lines)
  return dataclasses.replace(volume, header=geometry)


def from_image(
  place: object, image: sitk.Image, index: int | None = None
) -> volume_lib.Volume:
  """The scan of a SimpleITK image.

  Args:
    place: what to call it.
    image: of three or four dimensions.
    index: which volume of a 4-D image.

  Raises:
    UserError: if it is no 3-D scan, or holds several values a voxel.
  """
  if image.GetNumberOfComponentsPerPixel() > 1:
    raise errors.UserError(
      f'{place} holds {image.GetNumberOfComponentsPerPixel()} values a voxel; '
      'save one of them as a scan of its own'
    )
  voxels = sitk.GetArrayFromImage(image).T  # ITK's arrays are [K, J, I]
  voxels = volume_lib.take_volume(place, voxels, index)
  size = image.GetDimension()
  direction = np.reshape(image.GetDirection(), (size, size))[:3, :3]
  geometry = (
    image.GetOrigin()[:3],
    image.GetSpacing()[:3],
    tuple(direction.ravel().tolist()),
  )
  affine = np.eye(4)
  affine[:3, :3] = direction * image.GetSpacing()[:3]
  affine[:3, 3] = image.GetOrigin()[:3]
  return volume_lib.Volume(
    voxels=voxels,
    affine=volume_lib.LPS_TO_RAS @ affine,
    header=_Geometry(*geometry),
  )


def write(
  path: pathlib.Path,
  voxels: np.ndarray,
  like: volume_lib.Volume,
  provenance: volume_lib.Provenance,
):
  """Writes voxels [I, J, K] on the grid of `like`.

  Raises:
    UserError: if the grid of `like` is sheared.
    OSError: if the disk does not take it.
  """
  image = to_image(voxels, like, provenance, place=path)
  nrrd = path.suffix.lower() == '.nrrd'
  try:
    sitk.WriteImage(image, str(path), useCompression=nrrd)
  except RuntimeError:  # a page, which need not tell the cause
    reason = 'it could not be written whole; is there room for it?'
    raise OSError(errno.EIO, reason, str(path)) from None
  if nrrd and isinstance(like.header, _Geometry) and like.header.lines:
    _restore_lines(path, like.header.lines)


def to_image(
  voxels: np.ndarray,
  like: volume_lib.Volume,
  provenance: volume_lib.Provenance,
  *,
  place: object = 'the image',
) -> sitk.Image:
  """A SimpleITK image of voxels [I, J, K] on the grid of `like`.

  Args:
    voxels: as said.
    like: the scan they were made from.
    provenance: what they say of themselves.
    place: where they are to go, for a message.

  Raises:
    UserError: if the grid of `like` is sheared.
  """
  image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
  geometry = like.header
  if not isinstance(geometry, _Geometry):
    geometry = _from_affine(place, like.affine)
  image.SetOrigin(geometry.origin)
  image.SetSpacing(geometry.spacing)
  image.SetDirection(geometry.direction)
  image.SetMetaData('Comment', provenance.description)
  return image


class _Geometry(NamedTuple):
  """Origin, spacing and direction, LPS, as ITK gave them.

  `lines` are those of an NRRD header that say the same, in its own words: ITK
  takes directions and spacing apart and multiplies them again, which moves the
  last bit.
  """

  origin: tuple[float, ...]
  spacing: tuple[float, ...]
  direction: tuple[float, ...]
  lines: tuple[bytes, ...] = ()


def _read_lines(path):
  if path.suffix.lower() != '.nrrd':
    return ()
  header, _, _ = path.read_bytes().partition(b'\n\n')
  lines = tuple(
    line.rstrip() for line in header.split(b'\n') if line.startswith(_SPACE)
  )
  return lines if len(lines) == len(_SPACE) else ()


def _restore_lines(path, lines):
  header, gap, data = path.read_bytes().partition(b'\n\n')
  kept = [line for line in header.split(b'\n') if not line.startswith(_SPACE)]
  path.write_bytes(b'\n'.join([*kept, *lines]) + gap + data)


def _from_affine(path, affine):
  lps, shear = volume_lib.to_lps(affine)
  if shear > _SHEAR:
    raise errors.UserError(
      f'{path}: its source has a sheared grid, which this format cannot hold; '
      'write .nii.gz instead'
    )
  spacing = np.linalg.norm(lps[:3, :3], axis=0)
  return _Geometry(
    tuple(lps[:3, 3].tolist()),
    tuple(spacing.tolist()),
    tuple((lps[:3, :3] / spacing).ravel().tolist()),
  )
