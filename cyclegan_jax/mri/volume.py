"""A scan in memory, and its slices along an anatomical plane.

World coordinates are millimetres in the patient, RAS+ as in NIfTI: x to the
patient's right, y to anterior, z up (DICOM's are LPS; its reader converts).

A slice is shown in the radiological convention: axial and coronal ones with the
patient's right at the left of the picture; axial ones with anterior at the top,
coronal and sagittal ones with superior at the top; sagittal ones with anterior
at the left. Slices run from inferior to superior (axial), from posterior to
anterior (coronal), from the patient's left to the right (sagittal).
"""

import dataclasses
from typing import Any
import unicodedata

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.mri import identity

# DICOM's and ITK's axes: x to the patient's left, y to posterior.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
PLANES = {  # of the axes [slice, row, column]: the side each one runs towards
  'axial': 'SPL',
  'coronal': 'AIL',
  'sagittal': 'RIP',
}
_NOTICE = 'SYNTHETIC, not for diagnosis'


class NotChosenError(errors.UserError):
  """A file holds several volumes, and nobody has said which is meant."""


@dataclasses.dataclass(frozen=True)
class Volume:
  """One scan as its file holds it.

  Attributes:
    voxels: [I, J, K] in the file's order and the scanner's units.
    affine: [4, 4], voxel index to mm, RAS+.
    header: what the reader wants its own writer to have; opaque to all others.
    measured: whether the affine is known; pictures and arrays have none, theirs
      makes [I, J, K] the axial [slice, row, column] with voxels of 1 mm.
    notes: what a person should know of how the file was read, a line each.
  """

  voxels: np.ndarray
  affine: np.ndarray
  header: Any = None
  measured: bool = True
  notes: tuple[str, ...] = ()

  @property
  def spacing(self) -> tuple[float, float, float]:
    """Millimetres between voxels along the axes of `voxels`."""
    return tuple(_nibabel().affines.voxel_sizes(self.affine).tolist())


@dataclasses.dataclass(frozen=True)
class Provenance:
  """What a synthetic scan says of itself, in its header and beside it.

  Attributes:
    source: name of the contrast it was made from.
    target: name of the contrast it imitates.
    details: model, checkpoint, version and the like, for people and programs.
    pseudonyms: in place of who the source is of; None: that is carried over.
  """

  source: str
  target: str
  details: dict[str, Any]
  pseudonyms: identity.Pseudonyms | None = None

  @property
  def description(self) -> str:
    """One line of at most 64 characters, as DICOM allows."""
    line = f'SYNTHETIC {self.target} from {self.source}, not for diagnosis'
    return line if len(line) <= 64 else _NOTICE

  @property
  def plain_description(self) -> str:
    """The same in ASCII, for headers that hold nothing else: no accents."""
    apart = unicodedata.normalize('NFKD', self.description)
    bare = ''.join(each for each in apart if not unicodedata.combining(each))
    line = bare.encode('ascii', 'replace').decode()
    return line if len(line) <= 64 else _NOTICE


def to_lps(affine: np.ndarray) -> tuple[np.ndarray, float]:
  """An affine as DICOM and ITK want it: LPS, and its axes orthogonal.

  float32 affines are orthogonal only nearly, which both refuse: the directions
  become the nearest rotation or reflection (polar decomposition).

  Args:
    affine: [4, 4], voxel index to mm, RAS+; a copy is made.

  Returns:
    [4, 4], voxel index to mm, LPS+; and the largest change of a direction
    cosine: how much the grid is sheared.
  """
  from scipy import linalg  # not for those who only read

  lps = LPS_TO_RAS @ affine
  lengths = np.linalg.norm(lps[:3, :3], axis=0)
  directions, _ = linalg.polar(lps[:3, :3] / lengths)
  shear = np.abs(directions - lps[:3, :3] / lengths).max()
  lps[:3, :3] = directions * lengths
  return lps, float(shear)


def display_affine(
  plane: str = 'axial', spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
) -> np.ndarray:
  """The affine under which [I, J, K] is [slice, row, column] of a plane.

  Args:
    plane: of `PLANES`.
    spacing: millimetres between slices, rows, columns.
  """
  ornt = _nibabel().orientations.axcodes2ornt(PLANES[plane])
  codes = _nibabel().orientations.ornt_transform(
    _nibabel().orientations.axcodes2ornt('RAS'), ornt
  )
  turned = _nibabel().orientations.inv_ornt_aff(codes, (1, 1, 1))
  return turned @ np.diag([*spacing, 1.0])


def to_plane(array: np.ndarray, affine: np.ndarray, plane: str) -> np.ndarray:
  """Voxels [I, J, K] as slices [S, H, W] of a plane; a view, nothing is lost.

  An oblique grid is taken along the nearest anatomical axes.
  """
  return _nibabel().orientations.apply_orientation(array, _turn(affine, plane))


def from_plane(
  slices: np.ndarray, affine: np.ndarray, plane: str
) -> np.ndarray:
  """The inverse of `to_plane`, to the voxel: [S, H, W] to [I, J, K]."""
  back = _nibabel().orientations.ornt_transform(
    _nibabel().orientations.axcodes2ornt(PLANES[plane]),
    _nibabel().orientations.io_orientation(affine),
  )
  return _nibabel().orientations.apply_orientation(slices, back)


def plane_spacing(affine: np.ndarray, plane: str) -> tuple[float, float, float]:
  """Millimetres between slices, rows and columns of a plane."""
  axes = np.argsort(_turn(affine, plane)[:, 0])
  return tuple(_nibabel().affines.voxel_sizes(affine)[axes].tolist())


def select_volume(path, shape, index: int | None) -> tuple:
  """What to take of an array with this shape: one 3-D scan.

  Raises:
    NotChosenError: if it holds several and none is chosen.
    UserError: if there is none of that number, or it has fewer dimensions.
  """
  extra = int(np.prod(shape[3:], dtype=int))
  if len(shape) < 3:
    raise errors.UserError(
      f'{path} has {len(shape)} dimensions, {shape}; a scan has three'
    )
  if 0 in shape:
    raise errors.UserError(f'{path} is empty: its shape is {shape}')
  if len(shape) == 3 or extra == 1 and not index:
    return (...,)
  if index is None:
    raise NotChosenError(
      f'{path} holds {extra} volumes, its shape is {shape}; choose one by '
      'number from 0, with --config.data.volume=0 (train) or --volume=0'
    )
  if not 0 <= index < extra:
    raise errors.UserError(
      f'{path} holds {extra} volumes, numbered from 0; there is no {index}'
    )
  return (..., *np.unravel_index(index, shape[3:], order='F'))


def take_volume(path, array: np.ndarray, index: int | None) -> np.ndarray:
  """One 3-D scan of an array; see `select_volume`."""
  return array[select_volume(path, array.shape, index)].reshape(array.shape[:3])


def _turn(affine, plane):
  return _nibabel().orientations.ornt_transform(
    _nibabel().orientations.io_orientation(affine),
    _nibabel().orientations.axcodes2ornt(PLANES[plane]),
  )


def _nibabel():
  # A quarter of a second to import, which pictures need not wait for.
  import nibabel.affines
  import nibabel.orientations

  return nibabel
