"""Gray and colour: slices with and without an axis of channels."""

import numpy as np

# Red, green and blue of what looks as bright: ITU-R BT.601.
_LUMINANCE = (0.299, 0.587, 0.114)


def spread(images: np.ndarray, channels: int) -> np.ndarray:
  """Slices as a network takes them: gray ones are repeated.

  Args:
    images: [N, H, W], or [N, H, W, C].
    channels: wanted; as many as there are change nothing.

  Returns:
    [N, H, W, channels].
  """
  if images.ndim == 3:
    images = images[..., None]
  if images.shape[-1] == 1 < channels:
    images = np.repeat(images, channels, axis=-1)
  return images


def to_gray(images: np.ndarray) -> np.ndarray:
  """The luminance [N, H, W] of slices [N, H, W, 1 or 3], or [N, H, W]."""
  if images.ndim == 3:
    return images
  if images.shape[-1] == 1:
    return images[..., 0]
  whole = np.issubdtype(images.dtype, np.integer)
  gray = images @ np.asarray(_LUMINANCE, np.float32)
  return gray.round().astype(images.dtype) if whole else gray
