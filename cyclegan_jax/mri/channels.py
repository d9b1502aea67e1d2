"""Gray and colour: slices with and without an axis of channels.

A network that goes by how high in the head a slice is (`mri.levels`) takes gray
and, beside it, the level: the same everywhere in a slice.
"""

import numpy as np

from cyclegan_jax.mri import levels as levels_lib

# Red, green and blue of what looks as bright: ITU-R BT.601.
_LUMINANCE = (0.299, 0.587, 0.114)
LEVELLED = 2  # channels: gray, and the level


def spread(
  images: np.ndarray, channels: int, levels: np.ndarray | None = None
) -> np.ndarray:
  """Slices as a network takes them: gray ones are repeated, or get a level.

  Args:
    images: [N, H, W], or [N, H, W, C] in [-1, 1].
    channels: wanted; as many as there are change nothing.
    levels: of gray slices, [N] in [0, 1], where wanted; in the channel they are
      in [-1, 1]. None: the middle.

  Returns:
    [N, H, W, channels].
  """
  if images.ndim == 3:
    images = images[..., None]
  if images.shape[-1] == 1 and channels == LEVELLED:
    if levels is None:
      levels = np.full(len(images), levels_lib.MIDDLE)
    own = (2 * levels - 1).astype(images.dtype)[:, None, None, None]
    own = np.broadcast_to(own, images.shape)
    return np.concatenate([images, own], axis=-1)
  if images.shape[-1] == 1 < channels:
    images = np.repeat(images, channels, axis=-1)
  return images


def of_images(channels: int) -> int:
  """How many of the channels that a network takes are the image's."""
  return 1 if channels == LEVELLED else channels


def to_gray(images: np.ndarray) -> np.ndarray:
  """The luminance [N, H, W] of slices [N, H, W, C], or [N, H, W]."""
  if images.ndim == 3:
    return images
  if images.shape[-1] <= LEVELLED:
    return images[..., 0]
  whole = np.issubdtype(images.dtype, np.integer)
  gray = images @ np.asarray(_LUMINANCE, np.float32)
  return gray.round().astype(images.dtype) if whole else gray
