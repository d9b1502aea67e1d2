"""Scans decoded into slices at the network's scale, on disk as float32."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib
from typing import NamedTuple

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.mri import formats
from cyclegan_jax.mri import framing as framing_lib
from cyclegan_jax.mri import head
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import png
from cyclegan_jax.mri import volume as volume_lib

VERSION = 3  # raise it when the same files give other slices
_QUANTILES = 101
_TOGETHER = 64  # pictures whose air is measured at once
_SMALLEST, _LARGEST = 8, 8192  # pixels: others are no sides of a head's slice


class Framing(NamedTuple):
  """How scans become slices.

  Attributes:
    size: sides of a slice, pixels.
    spacing: mm between pixels; pictures, which have no known spacing, are made
      to fit `size` instead.
    planes: along which volumes are sliced.
    intensity: kind of scaling, `intensity.KINDS`.
    window: its range, for the kind 'window'.
    volume: which volume of 4-D files; None refuses them.
  """

  size: int
  spacing: float = 1.0
  planes: tuple[str, ...] = ('axial',)
  intensity: str = 'percentile'
  window: tuple[float, float] = (0.0, 0.0)
  volume: int | None = None


def scale_volume(
  volume: volume_lib.Volume, framing: Framing, *, picture: bool
) -> intensity.Scaling:
  """The scaling of one scan: by its white if it is a picture of whole numbers.

  Raises:
    UserError: if all its voxels are equal.
  """
  if picture and volume.voxels.dtype == np.uint8:
    return intensity.scale_to_white(255)
  if picture and volume.voxels.dtype == np.uint16:
    return intensity.scale_to_white(max(int(volume.voxels.max()), 1))
  return intensity.fit_scaling(
    volume.voxels, framing.intensity, window=framing.window
  )


def resize_shape(shape, spacing, framing: Framing, *, measured: bool):
  """Rows and columns at the network's scale of slices of this shape."""
  if measured:
    return framing_lib.resize_by_spacing(shape, spacing, framing.spacing)
  return framing_lib.resize_to_fit(shape, framing.size)


def load_scaling(fields: dict) -> intensity.Scaling:
  """A scaling out of JSON."""
  return intensity.Scaling(
    **{
      name: tuple(value) if isinstance(value, list) else value
      for name, value in fields.items()
    }
  )


def decode_volume(
  path: pathlib.Path,
  scan: formats.Scan,
  framing: Framing,
  centers: Mapping[str, Sequence[float]] | None,
) -> dict:
  """Writes the slices of a volume.

  Args:
    path: to write to: float32 [N, size, size] in [-1, 1].
    scan: to read.
    framing: of its slices.
    centers: by plane, what to centre them about; None: the head.

  Returns:
    'slices', of each its name, patient, share of head, position along the
    plane, and plane; 'notes'; 'corrupt', files left out; 'scaling'; 'quantiles'
    of the head in [-1, 1]; 'centers'; 'grid', which two scans of one patient
    share or not.

  Raises:
    UserError: naming the file and what is wrong with it.
  """
  with formats.naming(scan):
    volume = formats.read_scan(scan, index=framing.volume)
    single = not volume.measured and len(volume.voxels) == 1
    if single and not np.ptp(volume.voxels):
      path.touch()
      return {'slices': [], 'notes': [], 'corrupt': [], 'blank': 1}
    scaling = scale_volume(volume, framing, picture=False)
    unit = intensity.to_unit(volume.voxels, scaling)
    fill = float(intensity.to_unit(scaling.background, scaling))
    slices, notes, used, quantiles = [], list(volume.notes), {}, None
    with path.open('wb') as file:
      for plane in framing.planes:
        images = volume_lib.to_plane(unit, volume.affine, plane)
        mask = head.find_heads((images + 1) / 2)
        quantiles = quantiles or _find_quantiles(images[mask])
        spacing = volume_lib.plane_spacing(volume.affine, plane)[1:]
        center = (centers or {}).get(plane) or framing_lib.find_center(mask)
        used[plane] = center
        shape = images.shape[1:]
        resized = resize_shape(
          shape, spacing, framing, measured=volume.measured
        )
        check_frame(shape, resized, plane)
        notes += _note_cropped(mask, resized, plane, framing)
        frame = framing_lib.frame_square(shape, resized, framing.size, center)
        canvas = framing_lib.place(images, frame, fill=fill)
        canvas.clip(-1, 1, out=canvas)  # bicubic overshoots
        file.write(canvas.tobytes())
        shown = framing_lib.place(mask, frame, fill=0) > 0.5
        shares = shown.mean(axis=(1, 2)).tolist()
        slices += (
          (
            f'{scan.name} {plane} {number:03d}',
            scan.patient,
            share,
            (number + 0.5) / len(images),
            plane,
          )
          for number, share in enumerate(shares)
        )
  return {
    'slices': slices,
    'notes': [f'{scan.place}: {note}' for note in notes],
    'corrupt': [],
    'scaling': dataclasses.asdict(scaling),
    'quantiles': quantiles,
    'centers': used,
    'grid': [*volume.voxels.shape, *volume.affine.ravel().round(3).tolist()],
  }


def decode_pictures(
  path: pathlib.Path,
  scans: Sequence[formats.Scan],
  framing: Framing,
  report: Callable[[int], None],
) -> dict:
  """Writes the pictures of a folder, scaled to their common white.

  White is 255 in 8-bit pictures and the largest value in 16-bit ones; float
  pictures together are scaled like a volume.

  Args:
    path: to write to: float32 [N, size, size] in [-1, 1].
    scans: the pictures.
    framing: of the slices.
    report: called with how many have been read.

  Returns:
    As `decode_volume`; pictures have neither centers nor grid.

  Raises:
    UserError: naming a file that is no picture.
  """
  slices, corrupt, notes, kinds, floats, top = [], [], [], [], [], 0
  with path.open('wb') as file:
    for done, scan in enumerate(scans):
      report(done)
      try:
        volume = formats.read_scan(scan)
      except png.CorruptImageError as error:
        notes.append(f'skipped, cannot be decoded: {error}')
        corrupt.append(str(scan.paths[0]))
        continue
      pages = volume.voxels
      resized = framing_lib.resize_to_fit(pages.shape[1:], framing.size)
      frame = framing_lib.frame_square(pages.shape[1:], resized, framing.size)
      # What floats are padded with is known once all have been read.
      fill = np.nan if pages.dtype == np.float32 else 0
      raw = framing_lib.place(pages, frame, fill=fill)
      file.write(raw.tobytes())
      kinds += [pages.dtype.name] * len(pages)
      if pages.dtype == np.uint16:
        top = max(top, float(pages.max()))
      if pages.dtype == np.float32:  # enough to fit a scaling to
        floats += [pages.ravel()[::7], [pages.min(), pages.max()]]
      several = len(pages) > 1
      slices += (
        (f'{scan.name} {page:03d}' if several else scan.name, scan.patient)
        for page in range(len(pages))
      )
  if not slices:
    return {'slices': [], 'notes': notes, 'corrupt': corrupt}
  size = framing.size
  images = np.memmap(path, np.float32, 'r+', shape=(len(slices), size, size))
  scalings = {
    'uint8': intensity.scale_to_white(255),
    'uint16': intensity.scale_to_white(top or 1),
  }
  if floats:
    try:
      scalings['float32'] = intensity.fit_scaling(
        np.concatenate(floats), framing.intensity, window=framing.window
      )
    except errors.UserError as error:
      raise errors.UserError(f'{scans[0].paths[0].parent}: {error}') from None
  for image, kind in zip(images, kinds, strict=True):
    image[np.isnan(image)] = scalings[kind].background
    image[...] = intensity.to_unit(image, scalings[kind])
  images.flush()
  shares, sample = [], []
  for start in range(0, len(images), _TOGETHER):
    some = images[start : start + _TOGETHER]
    masks = head.find_heads((some + 1) / 2)
    shares += masks.mean(axis=(1, 2)).tolist()
    sample.append(some[masks][::7])  # enough to know a distribution by
  return {
    'slices': [
      (*slice_, share, None, None)
      for slice_, share in zip(slices, shares, strict=True)
    ],
    'notes': notes,
    'corrupt': corrupt,
    'scaling': dataclasses.asdict(scalings[kinds[0]]),
    'pictures': True,
    'quantiles': _find_quantiles(np.concatenate(sample)),
  }


def _find_quantiles(values):
  if not len(values):
    return [-1.0] * _QUANTILES
  return np.quantile(values, np.linspace(0, 1, _QUANTILES)).tolist()


def check_frame(shape, resized, plane: str):
  """Raises `UserError` if slices of this shape are too thin."""
  if min(resized) < _SMALLEST:
    raise errors.UserError(
      f'its {plane} slices are {shape[0]} x {shape[1]} voxels, too thin for '
      'the networks; only another plane (data.planes when training) can do'
    )
  if max(resized) > _LARGEST:
    raise errors.UserError(
      f'its {plane} slices would be {resized[0]} x {resized[1]} pixels for the '
      'networks: is the voxel spacing that the file tells right?'
    )


def _note_cropped(mask, resized, plane, framing):
  extent = framing_lib.measure_extent(mask)
  head = [share * pixels for share, pixels in zip(extent, resized, strict=True)]
  if max(head) > framing.size + 1:
    mm = max(head) * framing.spacing
    yield (
      f'the head is {mm:.0f} mm long in {plane} slices and the networks see '
      f'{framing.size * framing.spacing:.0f} mm: it is cropped; raise '
      'data.spacing or image_size'
    )
