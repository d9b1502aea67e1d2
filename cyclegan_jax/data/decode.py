"""Scans decoded into slices at the network's scale, on disk as float32."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import pathlib

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.data import records
from cyclegan_jax.mri import canvas
from cyclegan_jax.mri import channels as channels_lib
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import head
from cyclegan_jax.mri import inside
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.mri.formats import picture

VERSION = 3  # raise it when the same files give other slices
_QUANTILES = 101
_TOGETHER = 64  # pictures whose air is measured at once


def decode(
  path: pathlib.Path,
  scans: Sequence[dispatch.Scan],
  settings: framing.SliceSettings,
  *,
  centers: Mapping[str, tuple[float, float]] | None,
  channels: int = 1,
  report: Callable[[int], None],
) -> records.Decoded:
  """Writes the slices of a volume, or of the pictures of a folder.

  Args:
    path: to write to: float32 [N, size, size, channels] in [-1, 1].
    scans: one volume, or pictures.
    settings: of the slices.
    centers: of a volume, see `decode_volume`.
    channels: of pictures; volumes have 1.
    report: called with how many pictures have been read.

  Raises:
    UserError: naming the file and what is wrong with it.
  """
  if scans[0].is_picture:
    return decode_pictures(path, scans, settings, report, channels=channels)
  return decode_volume(path, scans[0], settings, centers)


def decode_volume(
  path: pathlib.Path,
  scan: dispatch.Scan,
  settings: framing.SliceSettings,
  centers: Mapping[str, tuple[float, float]] | None,
) -> records.Decoded:
  """Writes the slices of a volume.

  Args:
    path: to write to: float32 [N, size, size] in [-1, 1].
    scan: to read.
    settings: of its slices.
    centers: by plane, what to centre them about; None: the head.

  Returns:
    What is known of it.

  Raises:
    UserError: naming the file and what is wrong with it.
  """
  with dispatch.naming(scan):
    volume = dispatch.read_scan(scan, index=settings.index)
    single = not volume.measured and len(volume.voxels) == 1
    if single and not np.ptp(volume.voxels):
      path.touch()
      return records.Decoded(blank=1)
    scaling = canvas.scale(volume, settings, picture=False)
    unit = intensity.to_unit(volume.voxels, scaling)
    fill = float(intensity.to_unit(scaling.background, scaling))
    slices, notes, used = [], list(volume.notes), {}
    quantiles: tuple[float, ...] = ()
    with path.open('wb') as file:
      for plane in settings.planes:
        stack = canvas.cut(
          unit,
          volume,
          plane,
          settings,
          fill=fill,
          center=(centers or {}).get(plane),
        )
        quantiles = quantiles or _find_quantiles(stack.images[stack.heads])
        used[plane] = stack.center
        notes += _note_cropped(stack, plane, settings)
        file.write(canvas.lay(stack).tobytes())
        shown = framing.place(stack.heads, stack.frame, fill=0) > 0.5
        shares = shown.mean(axis=(1, 2)).tolist()
        slices += (
          records.SliceRecord(
            name=f'{scan.name} {plane} {number:03d}',
            scan=scan.name,
            patient=scan.patient,
            head=share,
            position=(number + 0.5) / len(shares),
            plane=plane,
          )
          for number, share in enumerate(shares)
        )
  return records.Decoded(
    slices=tuple(slices),
    intensities=intensity.Intensities(scaling, quantiles),
    centers=used,
    grid=(*volume.voxels.shape, *volume.affine.ravel().round(3).tolist()),
    notes=tuple(f'{scan.place}: {note}' for note in notes),
  )


def decode_pictures(
  path: pathlib.Path,
  scans: Sequence[dispatch.Scan],
  settings: framing.SliceSettings,
  report: Callable[[int], None],
  *,
  channels: int = 1,
) -> records.Decoded:
  """Writes the pictures of a folder, scaled to their common white.

  White is 255 in 8-bit pictures and the largest value in 16-bit ones; float
  pictures together are scaled like a volume.

  Args:
    path: to write to: float32 [N, size, size, channels] in [-1, 1].
    scans: the pictures.
    settings: of the slices.
    report: called with how many have been read.
    channels: 1, or 3 for colour.

  Returns:
    What is known of them.

  Raises:
    UserError: naming a file that is no picture.
  """
  slices, corrupt, notes, kinds, floats, top = [], [], [], [], [], 0
  with path.open('wb') as file:
    for done, scan in enumerate(scans):
      report(done)
      try:
        volume = dispatch.read_scan(scan, channels=channels)
      except picture.CorruptImageError as error:
        notes.append(f'skipped, cannot be decoded: {error}')
        corrupt.append(str(scan.paths[0]))
        continue
      pages = volume.voxels
      file.write(_lay_pages(pages, settings.size, channels).tobytes())
      kinds += [pages.dtype.name] * len(pages)
      if pages.dtype == np.uint16:
        top = max(top, float(pages.max()))
      if pages.dtype == np.float32:  # enough to fit a scaling to
        floats += [pages.ravel()[::7], [pages.min(), pages.max()]]
      several = len(pages) > 1
      slices += (
        records.SliceRecord(
          name=f'{scan.name} {page:03d}' if several else scan.name,
          scan=scan.name,
          patient=scan.patient,
          head=0.0,  # as long as white is not known
        )
        for page in range(len(pages))
      )
  if not slices:
    return records.Decoded(notes=tuple(notes), corrupt=tuple(corrupt))
  size = settings.size
  shape = (len(slices), size, size, channels)
  images = np.memmap(path, np.float32, 'r+', shape=shape)
  try:
    scalings = _fit_scalings(top, floats, images, kinds, settings)
  except errors.UserError as error:
    raise errors.UserError(f'{scans[0].paths[0].parent}: {error}') from None
  for image, kind in zip(images, kinds, strict=True):
    image[np.isnan(image)] = scalings[kind].background
    image[...] = intensity.to_unit(image, scalings[kind])
  images.flush()
  shares, quantiles = _measure_heads(images)
  return records.Decoded(
    slices=tuple(
      each._replace(head=share)
      for each, share in zip(slices, shares, strict=True)
    ),
    intensities=intensity.Intensities(
      scalings[kinds[0]], quantiles, pictures=True
    ),
    channels=channels,
    notes=tuple(notes),
    corrupt=tuple(corrupt),
  )


def _lay_pages(pages, size, channels):
  """Pages on squares, [N, size, size, channels]."""
  resized = framing.resize_to_fit(pages.shape[1:3], size)
  frame = framing.frame_square(pages.shape[1:3], resized, size)
  # What floats are padded with is known once all have been read.
  fill = np.nan if pages.dtype == np.float32 else 0
  raw = framing.place(pages, frame, fill=fill)
  return channels_lib.spread(raw, channels)


def _fit_scalings(top, floats, images, kinds, settings):
  """Scalings of a folder's pictures by the type of their pixels."""
  scalings = {
    'uint8': intensity.scale_to_white(255),
    'uint16': intensity.scale_to_white(top or 1),
  }
  if floats:
    level = None
    if settings.intensity == 'inside':
      rows = [row for row, kind in enumerate(kinds) if kind == 'float32']
      some = channels_lib.to_gray(images[rows[:: len(rows) // _TOGETHER + 1]])
      some = np.where(np.isnan(some), np.nanmin(some), some)
      level = inside.measure_level(some, (1.0, 1.0))
    scalings['float32'] = intensity.fit_scaling(
      np.concatenate(floats),
      settings.intensity,
      window=settings.window,
      level=level,
    )
  return scalings


def _measure_heads(images):
  """What share of each of [N, S, S, C] heads fill, and their quantiles."""
  shares, sample = [], []
  for start in range(0, len(images), _TOGETHER):
    some = channels_lib.to_gray(images[start : start + _TOGETHER])
    heads = head.find_heads((some + 1) / 2)
    shares += heads.mean(axis=(1, 2)).tolist()
    sample.append(some[heads][::7])  # enough to know a distribution by
  return shares, _find_quantiles(np.concatenate(sample))


def _find_quantiles(values):
  if not len(values):
    return (-1.0,) * _QUANTILES
  return tuple(np.quantile(values, np.linspace(0, 1, _QUANTILES)).tolist())


def _note_cropped(stack, plane, settings):
  long = canvas.measure_head(stack)
  if long > settings.size + 1:
    yield (
      f'the head is {long * settings.spacing:.0f} mm long in {plane} slices '
      'and the networks see '
      f'{settings.size * settings.spacing:.0f} mm: it is cropped; raise '
      'data.spacing or image_size'
    )
