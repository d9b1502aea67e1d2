"""PNG, JPEG and TIFF: pictures of slices, and TIFF stacks of them."""

import pathlib
import warnings

import numpy as np
from PIL import Image
from PIL import ImageSequence
from PIL import PngImagePlugin
from PIL import TiffImagePlugin

from cyclegan_jax import errors
from cyclegan_jax.mri import channels as channels_lib
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import limits

_FORMATS = ('PNG', 'JPEG', 'TIFF')  # of all that Pillow would try
_WHOLE = ('I;16', 'I;16L', 'I;16B', 'I;16N', 'I')
_GRAY = ('1', 'L', 'LA')
_DESCRIPTION = 270  # TIFF tag ImageDescription


class CorruptImageError(errors.UserError):
  """A file that begins like an image and cannot be decoded."""


def read(
  path: pathlib.Path, *, index: int | None = None, channels: int = 1
) -> volume_lib.Volume:
  """Reads a picture, or a TIFF stack.

  Args:
    path: of a PNG, JPEG or TIFF file; gray, 8- or 16-bit or float, or 8-bit
      colour.
    index: for the other formats' sake; a stack is one volume.
    channels: 1: colour becomes luminance (ITU-R BT.601); 3: it stays.

  Returns:
    Voxels [pages, H, W], uint8, uint16 or float32, without a geometry; of
    colour that stays [pages, H, W, 3], uint8.

  Raises:
    UserError: if the file is no such image at all, declares more pixels than
      are read or than it can hold, or its pages differ in size.
    CorruptImageError: if it is one, but broken.
  """
  del index
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # of odd tags; what matters is checked
      warnings.simplefilter('error', Image.DecompressionBombWarning)
      with Image.open(path, formats=_FORMATS) as image:
        pages = _read_pages(path, image, channels)
  except errors.UserError:
    raise
  except Image.UnidentifiedImageError:
    raise errors.UserError(
      f'{path} is not a PNG, JPEG or TIFF image; move it out of the folder'
    ) from None
  except (Image.DecompressionBombError, Image.DecompressionBombWarning):
    raise errors.UserError(
      f'{path} says that it has more than {Image.MAX_IMAGE_PIXELS:,} pixels, '
      'which no slice has; save it smaller or move it out of the folder'
    ) from None
  except Exception as error:  # every decoder raises others
    reason = ' '.join(str(error).split()) or type(error).__name__
    raise CorruptImageError(f'{path}: {reason}') from error
  if len({page.shape[:2] for page in pages}) > 1:
    raise errors.UserError(f'{path} holds pictures of different sizes')
  if len({page.ndim for page in pages}) > 1:  # gray ones among colour
    pages = [channels_lib.spread(page[None], channels)[0] for page in pages]
  voxels = np.stack(pages)
  notes = ()
  if not np.ptp(voxels):
    notes = (f'every pixel is {voxels.flat[0]:g}: there is nothing to see',)
  return volume_lib.Volume(
    voxels, volume_lib.display_affine(), measured=False, notes=notes
  )


def write(
  path: pathlib.Path,
  voxels: np.ndarray,
  like: volume_lib.Volume,
  provenance: volume_lib.Provenance,
):
  """Writes voxels as axial slices: one as a picture, several as a TIFF stack.

  uint8 and uint16 are written as they are, other types as float TIFF.

  Raises:
    UserError: if the format cannot hold them.
  """
  slices = volume_lib.to_plane(voxels, like.affine, 'axial')
  whole = slices.dtype in (np.uint8, np.uint16)
  tiff = path.suffix.lower() in ('.tif', '.tiff')
  if len(slices) > 1 and not tiff:
    raise errors.UserError(
      f'{path} can hold one slice, not {len(slices)}; write .tif or .nii.gz'
    )
  if not whole and not tiff:
    raise errors.UserError(
      f'{path} holds whole numbers only; write .tif, .npy or .nii.gz'
    )
  if slices.dtype != np.uint8 and path.suffix.lower() in ('.jpg', '.jpeg'):
    raise errors.UserError(f'{path} holds 8 bits only; write .png or .tif')
  if not whole:
    slices = slices.astype(np.float32)
  first, *rest = (
    Image.fromarray(np.ascontiguousarray(each)) for each in slices
  )
  if tiff:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[_DESCRIPTION] = provenance.description
    first.save(path, tiffinfo=tags, save_all=True, append_images=rest)
  elif path.suffix.lower() == '.png':
    text = PngImagePlugin.PngInfo()
    text.add_text('Description', provenance.description)
    first.save(path, pnginfo=text)
  else:
    first.save(path, quality=95, comment=provenance.description)


def _read_pages(path, image, channels):
  pages, pixels, size = [], 0, path.stat().st_size
  for page in ImageSequence.Iterator(image):
    pixels += page.width * page.height
    limits.check_shape(path, (pixels,))
    # A byte or a bit at least, and pages may share their data.
    declared = pixels // (8 if page.mode == '1' else 1)
    limits.check_packed(path, declared, size, deflated=False)
    pages.append(_read_page(page, channels))
  return pages


def _read_page(page, channels):
  if page.mode == 'F':
    return np.asarray(page, np.float32)
  if page.mode in _WHOLE:
    pixels = np.asarray(page)
    fits = pixels.min() >= 0 and pixels.max() <= 65535
    return pixels.astype(np.uint16 if fits else np.float32)
  colour = channels > 1 and page.mode not in _GRAY
  return np.asarray(page.convert('RGB' if colour else 'L'))
