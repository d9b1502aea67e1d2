"""A volume on the canvas the networks see, along one plane, and back.

The one way there: for training, where slices meet a square that may crop them,
and for translation, where whole slices lie on a canvas and return to their
voxels.
"""

import dataclasses
from typing import Any

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.mri import channels
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import head
from cyclegan_jax.mri import inside
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import volume as volume_lib

_SMALLEST, _LARGEST = 8, 8192  # pixels: others are no sides of a head's slice


@dataclasses.dataclass(frozen=True)
class Stack:
  """The slices of a volume along a plane, and how they lie on their canvas.

  Attributes:
    images: [S, H, W] or [S, H, W, C] in [-1, 1]; a view of the volume.
    heads: [S, H, W] bool, where they show the head.
    center: what the canvas of training is about, shares of rows and columns.
    frame: of every one of them on its canvas.
    fill: what the canvas holds where there is no slice.
  """

  images: np.ndarray
  heads: np.ndarray
  center: tuple[float, float]
  frame: framing.Frame
  fill: float


def scale(
  volume: volume_lib.Volume, settings: framing.SliceSettings, *, picture: bool
) -> intensity.Scaling:
  """The scaling of one scan: by its white if it is a picture of whole numbers.

  Raises:
    UserError: if all its voxels are equal, or its head has no inside.
  """
  if picture and volume.voxels.dtype == np.uint8:
    return intensity.scale_to_white(255)
  if picture and volume.voxels.dtype == np.uint16:
    return intensity.scale_to_white(max(int(volume.voxels.max()), 1))
  level = None
  if settings.intensity == 'inside':
    images = volume_lib.to_plane(
      channels.to_gray(volume.voxels), volume.affine, 'axial'
    )
    _, *pixel = volume_lib.plane_spacing(volume.affine, 'axial')
    level = inside.measure_level(images, pixel)
  return intensity.fit_scaling(
    volume.voxels, settings.intensity, window=settings.window, level=level
  )


def cut(
  unit: np.ndarray,
  volume: volume_lib.Volume,
  plane: str,
  settings: framing.SliceSettings,
  *,
  fill: float,
  center: tuple[float, float] | None = None,
  multiple: int | None = None,
) -> Stack:
  """Slices of a volume along a plane, at the networks' scale.

  Args:
    unit: [I, J, K] or [I, J, K, C] in [-1, 1], the voxels scaled.
    volume: whose grid that is.
    plane: one of `volume.PLANES`.
    settings: the networks' scale.
    fill: background, in [-1, 1].
    center: of the square of training, shares of rows and columns; None: the
      middle of the head.
    multiple: for a canvas that holds whole slices instead, what its sides
      divide by.

  Raises:
    UserError: if slices along this plane are too thin or too large.
  """
  images = volume_lib.to_plane(unit, volume.affine, plane)
  heads = head.find_heads((channels.to_gray(images) + 1) / 2)
  shape = images.shape[1:3]
  if volume.measured:
    spacing = volume_lib.plane_spacing(volume.affine, plane)[1:]
    resized = framing.resize_by_spacing(shape, spacing, settings.spacing)
  else:
    resized = framing.resize_to_fit(shape, settings.size)
  _check(shape, resized, plane)
  center = center or framing.find_center(heads)
  if multiple:
    frame = framing.frame_whole(shape, resized, multiple, least=settings.size)
  else:
    frame = framing.frame_square(shape, resized, settings.size, center)
  return Stack(images, heads, center, frame, fill)


def measure_head(stack: Stack) -> float:
  """How long the head of a stack is, pixels of the networks' scale."""
  extent = framing.measure_extent(stack.heads)
  return max(a * b for a, b in zip(extent, stack.frame.resized, strict=True))


def lay(stack: Stack, rows: Any = slice(None)) -> np.ndarray:
  """Slices of a stack on their canvas: [N, rows, columns] float32 in [-1, 1].

  With their channels, if they have any.

  Args:
    stack: from `cut`.
    rows: an index of N of its slices.
  """
  canvas = framing.place(stack.images[rows], stack.frame, fill=stack.fill)
  return canvas.clip(-1, 1, out=canvas)  # bicubic overshoots


def lift(canvas: np.ndarray, stack: Stack) -> np.ndarray:
  """The inverse of `lay`: [N, rows, columns] to slices [N, H, W].

  What was cropped away holds the stack's `fill`.
  """
  return framing.restore(canvas, stack.frame, fill=stack.fill)


def _check(shape, resized, plane):
  if max(resized) < _SMALLEST or max(resized) > _LARGEST:
    raise errors.UserError(
      f'its {plane} slices would be {resized[0]} x {resized[1]} pixels for the '
      'networks: is the voxel spacing that the file tells right?'
    )
  if min(resized) < _SMALLEST:
    raise errors.UserError(
      f'its {plane} slices are {shape[0]} x {shape[1]} voxels, too thin for '
      'the networks; only another plane (data.planes when training) can do'
    )
