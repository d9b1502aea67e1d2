"""Slices of a DICOM series in space: what makes them one regular stack."""

import pathlib
from typing import Any
from typing import NamedTuple

from highdicom import spatial
import numpy as np
import pydicom

from cyclegan_jax import errors
from cyclegan_jax.mri import volume

GEOMETRY_TAGS = (  # 3, 6 and 2 numbers
  *('ImagePositionPatient', 'ImageOrientationPatient', 'PixelSpacing'),
)
_VARYING_TAGS = (  # what may tell apart several images of one place
  *('EchoTime', 'EffectiveEchoTime', 'InversionTime', 'DiffusionBValue'),
  *('FlipAngle', 'ImageType', 'FrameType', 'TemporalPositionIdentifier'),
  *('TemporalPositionIndex', 'TriggerTime', 'AcquisitionNumber'),
)
_SAME_PLACE = 1e-3  # mm
_ALIKE = 1e-3  # cosines, and mm of pixel spacing, within a series
_COSINES = 1e-2  # how far direction cosines may be from orthogonal
_OFF_GRID = 0.1  # of the spacing: how far a slice may lie off its place


class Slice(NamedTuple):
  """One image; `grid` is the 11 numbers of GEOMETRY_TAGS, or is None."""

  path: pathlib.Path
  header: pydicom.Dataset
  pixels: np.ndarray
  grid: Any  # [11] float64, or None before `check_alike` has passed it


def find_missing(header: pydicom.Dataset) -> str:
  """Which of GEOMETRY_TAGS a header lacks, for people; empty if none."""
  return ' and no '.join(tag for tag in GEOMETRY_TAGS if not header.get(tag))


def find_grid(header: pydicom.Dataset) -> np.ndarray | None:
  """The `grid` of a slice, cosines normalised; None if any is absent."""
  values = [header.get(keyword) for keyword in GEOMETRY_TAGS]
  if not all(values):
    return None
  grid = np.concatenate([np.asarray(value, float) for value in values])
  for cosines in (grid[3:6], grid[6:9]):
    cosines /= np.linalg.norm(cosines)  # they may be rounded
  if grid.shape != (11,) or not np.isfinite(grid).all() or min(grid[9:]) <= 0:
    raise ValueError(f'position, orientation and spacing are {values}')
  return grid


def check_alike(slices: list[Slice], name: str):
  """Refuses slices without a place, or of differing orientation or size."""
  first = slices[0]
  for image in slices:
    if image.grid is None:
      raise errors.UserError(
        f'{image.path} has no {find_missing(image.header)}, and so no position '
        f'in space: {name} cannot be stacked; export it again, or take it out'
      )
    space = [s.header.get('FrameOfReferenceUID') for s in (first, image)]
    far = np.abs(image.grid - first.grid) > _ALIKE
    differing = {
      f'size {first.pixels.shape}': image.pixels.shape != first.pixels.shape,
      'orientation': far[3:9].any(),
      'pixel spacing': far[9:].any(),
      'frame of reference': space[0] != space[1],
    }
    what = ' and '.join(word for word, differs in differing.items() if differs)
    if what:
      raise errors.UserError(
        f'{name} is no single stack: {image.path.name} differs from '
        f'{first.path.name} in {what}; leave out localizers, give one stack'
      )


def _basis(grid):
  """[3, 3] columns: unit vectors along slices, rows and columns, in LPS."""
  return spatial.create_rotation_matrix(
    grid[3:9], spatial.VOLUME_INDEX_CONVENTION, slices_first=True
  )


def order(slices: list[Slice], name: str) -> tuple[list[Slice], list[str]]:
  """One slice for each place in the order along the normal, and notes."""
  normal = _basis(slices[0].grid)[:, 0]
  slices = sorted(slices, key=lambda image: image.grid[:3] @ normal)
  places = []
  for image in slices:
    if places and (image.grid - places[-1][0].grid)[:3] @ normal < _SAME_PLACE:
      if not any(np.array_equal(image.pixels, s.pixels) for s in places[-1]):
        places[-1].append(image)
    else:
      places.append([image])
  most = max(places, key=len)
  if len(most) > 1:
    seen = {
      tag: {str(s.header.get(tag)) for s in most} for tag in _VARYING_TAGS
    }
    differing = [tag for tag, values in seen.items() if len(values) > 1]
    because = ', differing in ' + ' and '.join(differing) if differing else ''
    raise errors.UserError(
      f'{name} holds {sum(map(len, places))} images at {len(places)} places, '
      f'up to {len(most)} at each{because}; separate them into folders with '
      'one image of each place'
    )
  dropped = len(slices) - len(places)
  notes = [f'{dropped} duplicate DICOM images left out'] if dropped else []
  return [place[0] for place in places], notes


def find_affine(slices: list[Slice], name: str) -> tuple[np.ndarray, list[str]]:
  """Index to RAS+ mm of slices in their order, and notes."""
  first, basis, notes = slices[0].grid, _basis(slices[0].grid), []
  if np.abs(basis.T @ basis - np.eye(3)).max() > _COSINES:
    raise errors.UserError(
      f'{name} has an invalid ImageOrientationPatient, {first[3:9].tolist()}; '
      'export it again'
    )
  if len(slices) > 1:
    spacing = _step(np.stack([s.grid[:3] for s in slices]), basis[:, 0], name)
  else:
    tags = ('SpacingBetweenSlices', 'SliceThickness')
    found = [abs(float(slices[0].header.get(tag) or 0)) for tag in tags]
    spacing = found[0] or found[1] or 1.0
    if not any(found):
      notes.append('DICOM gives no thickness of its one slice; 1 mm assumed')
  affine = spatial.create_affine_matrix_from_attributes(
    image_position=first[:3],
    image_orientation=first[3:9],
    pixel_spacing=first[9:],
    spacing_between_slices=spacing,
    index_convention=spatial.VOLUME_INDEX_CONVENTION,
    slices_first=True,
  )
  return volume.LPS_TO_RAS @ affine, notes


def _step(positions, normal, name):
  """Millimetres between slices [N, 3], which must lie on a regular grid."""
  # Not quite orthogonal cosines leave the normal a little off unit length.
  distances = positions @ normal / (normal @ normal)
  steps = np.diff(distances)
  index, step = np.arange(len(steps) + 1), steps.mean()
  off_grid = np.abs(distances - distances[0] - step * index).max()
  if off_grid > _OFF_GRID * step:
    axis, gap = np.abs(normal).argmax(), steps.argmax()
    low, high = sorted(positions[gap : gap + 2, axis])
    what = 'missing' if steps.max() > 1.5 * steps.min() else 'unevenly spaced'
    raise errors.UserError(
      f'{name}: slices are {what} between {"xyz"[axis]} = {low:.1f} and '
      f'{high:.1f} mm, {steps.max():.2f} mm apart where others are '
      f'{steps.min():.2f}; export the whole series again'
    )
  drift = positions - positions[0] - np.outer(distances - distances[0], normal)
  if np.linalg.norm(drift, axis=1).max() > _OFF_GRID * step:
    raise errors.UserError(
      f'{name}: slices are stacked at a slant (gantry tilt), not at right '
      'angles to their planes; resample it to a rectangular grid first'
    )
  return step
