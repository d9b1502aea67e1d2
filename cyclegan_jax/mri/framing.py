"""Slices of a scan on the square the networks see, and back.

Slices are resampled to one in-plane spacing, so that fine and coarse scans meet
the network at the same scale, then padded or cropped: never squashed.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image


class SliceSettings(NamedTuple):
  """How scans become slices.

  Attributes:
    size: sides of a slice, pixels.
    spacing: mm between pixels; pictures, which have no known spacing, are made
      to fit `size` instead.
    planes: along which volumes are sliced.
    intensity: kind of scaling, `intensity.KINDS`.
    window: its range, for the kind 'window'.
    index: of the volume in 4-D files; None refuses them.
  """

  size: int
  spacing: float = 1.0
  planes: tuple[str, ...] = ('axial',)
  intensity: str = 'percentile'
  window: tuple[float, float] = (0.0, 0.0)
  index: int | None = None


class Frame(NamedTuple):
  """How the slices of one scan lie on a canvas; all in pixels.

  Attributes:
    shape: rows and columns of a slice.
    resized: likewise at the network's scale.
    corner: of the canvas, in the resized slice; negative where it is padded.
    canvas: rows and columns of the canvas.
  """

  shape: tuple[int, int]
  resized: tuple[int, int]
  corner: tuple[int, int]
  canvas: tuple[int, int]


def resize_by_spacing(shape, spacing, target: float) -> tuple[int, int]:
  """Rows and columns of a slice resampled to `target` mm.

  Args:
    shape: rows and columns.
    spacing: between them, mm.
    target: wanted, mm.
  """
  rows, columns = (
    max(1, round(n * mm / target)) for n, mm in zip(shape, spacing, strict=True)
  )
  return rows, columns


def resize_to_fit(shape, size: int) -> tuple[int, int]:
  """Rows and columns of a slice whose longer side becomes `size`."""
  rows, columns = (max(1, round(n * size / max(shape))) for n in shape)
  return rows, columns


def find_center(mask: np.ndarray) -> tuple[float, float]:
  """The middle of what is true in [S, H, W], as shares of rows and columns.

  Where nothing is true, the middle of the picture.
  """
  row, column = (
    (first + last) / 2 / size if last else 0.5
    for first, last, size in _find_ends(mask)
  )
  return row, column


def measure_extent(mask: np.ndarray) -> tuple[float, float]:
  """How much of rows and columns of [S, H, W] is between the first and last
  true ones, as shares.
  """
  return tuple((last - first) / size for first, last, size in _find_ends(mask))


def frame_square(shape, resized, size: int, center=(0.5, 0.5)) -> Frame:
  """A canvas of `size` x `size` about `center`, shares of rows and columns."""
  corner = tuple(
    round(n * share - size / 2)
    for n, share in zip(resized, center, strict=True)
  )
  return Frame(tuple(shape), tuple(resized), corner, (size, size))


def frame_whole(shape, resized, multiple: int, *, least: int = 0) -> Frame:
  """A canvas that holds whole slices, its sides multiples, `least` or more.

  A program is compiled for every size: beyond `least` there are few, an eighth
  of it apart.
  """
  apart = multiple * max(1, least // (8 * multiple))
  rows, columns = (
    _round_up(n, apart) if n > least else _round_up(least, multiple)
    for n in resized
  )
  canvas = rows, columns
  corner = tuple(-((m - n) // 2) for m, n in zip(canvas, resized, strict=True))
  return Frame(tuple(shape), tuple(resized), corner, canvas)


def _round_up(number, multiple):
  return -(-number // multiple) * multiple


def place(slices: np.ndarray, frame: Frame, *, fill: float) -> np.ndarray:
  """Slices [S, H, W] on their canvas: [S, rows, columns] float32.

  Here and below, slices may have channels as a last axis, and keep them.

  Args:
    slices: unit intensities.
    frame: whose `shape` is theirs.
    fill: what the padding holds.
  """
  resized = resize(slices, frame.resized)
  channels = slices.shape[3:]
  canvas = np.full((len(slices), *frame.canvas, *channels), fill, np.float32)
  on_canvas, on_slice = _overlap(frame)
  canvas[:, *on_canvas] = resized[:, *on_slice]
  return canvas


def restore(canvas: np.ndarray, frame: Frame, *, fill: float) -> np.ndarray:
  """The inverse of `place`: [S, rows, columns] to slices [S, H, W].

  What was cropped away holds `fill`.
  """
  channels = canvas.shape[3:]
  resized = np.full((len(canvas), *frame.resized, *channels), fill, np.float32)
  on_canvas, on_slice = _overlap(frame)
  resized[:, *on_slice] = canvas[:, *on_canvas]
  return resize(resized, frame.shape)


def resize(slices: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """[S, H, W] to [S, *shape] float32: bicubic, antialiased.

  Slices that have the shape already come back as they are.
  """
  slices = np.asarray(slices, np.float32)
  if slices.shape[1:3] == tuple(shape):
    return slices
  if slices.ndim == 4:
    each = np.moveaxis(slices, -1, 0)
    return np.stack([resize(channel, shape) for channel in each], axis=-1)
  rows, columns = shape
  resized = np.empty((len(slices), rows, columns), np.float32)
  for out, image in zip(resized, slices, strict=True):
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture = picture.resize((columns, rows), Image.Resampling.BICUBIC)
    out[...] = np.asarray(picture)
  return resized


def _find_ends(mask):
  """Along rows and columns: the first that is true, past the last, and all."""
  for axis in (1, 2):
    where = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
    ends = (int(where[0]), int(where[-1]) + 1) if len(where) else (0, 0)
    yield *ends, mask.shape[axis]


def _overlap(frame):
  """Where canvas and resized slice meet: index of the one, of the other."""
  on_canvas, on_slice = [], []
  for corner, n, side in zip(
    frame.corner, frame.resized, frame.canvas, strict=True
  ):
    start, stop = max(corner, 0), min(corner + side, n)
    on_slice.append(slice(start, max(stop, start)))
    on_canvas.append(slice(start - corner, max(stop, start) - corner))
  return on_canvas, on_slice
