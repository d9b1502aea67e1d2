"""PNG, JPEG and TIFF pictures of single slices."""

import pathlib
import struct

import numpy as np
from PIL import Image

from cyclegan_jax import errors

SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff')
_SIXTEEN_BIT = ('I;16', 'I;16L', 'I;16B', 'I;16N', 'I')


class CorruptImageError(OSError):
  """A file that begins like an image and cannot be decoded."""


def read_image(path: pathlib.Path) -> np.ndarray:
  """Reads one picture as luminance.

  Args:
    path: of a PNG, JPEG or TIFF file; 8- or 16-bit gray, or 8-bit colour, which
      becomes luminance (ITU-R BT.601).

  Returns:
    [H, W], uint8 or uint16.

  Raises:
    UserError: if the file is no such image at all.
    CorruptImageError: if it is one, but broken.
  """
  try:
    with Image.open(path) as image:
      if getattr(image, 'n_frames', 1) > 1:
        raise errors.UserError(
          f'{path} holds {image.n_frames} pictures; give one slice a file'
        )
      if image.mode in _SIXTEEN_BIT:
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 65535:
          raise errors.UserError(
            f'{path} has values outside 0 to 65535; save it as 16-bit gray'
          )
        return pixels.astype(np.uint16)
      if image.mode == 'F':
        raise errors.UserError(
          f'{path} is a float image; save it as 8- or 16-bit gray'
        )
      return np.asarray(image.convert('L'))
  except Image.UnidentifiedImageError:
    raise errors.UserError(
      f'{path} is not a PNG, JPEG or TIFF image; move it out of the folder'
    ) from None
  except errors.UserError:
    raise
  except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
    raise CorruptImageError(f'{path}: {error}') from error
