"""A contrast map as a layer: where a generator starts from."""

import chex
from flax import linen as nn
from jax import lax
import jax.numpy as jnp
from jax.scipy import ndimage
import numpy as np

from cyclegan_jax import array_types
from cyclegan_jax.mri import contrast
from cyclegan_jax.mri import places

_INSIDE = 0.99  # of tanh's range: beyond, nothing could be learnt any more


class ContrastMap(nn.Module):
  """What to add to before `tanh` so that a generator begins as the map.

  A table of how a pixel and its surroundings look (`mri.contrast`), learnt like
  every parameter; a fresh one leaves images as they are, and
  `state.start_from_maps` puts the fitted one in its place.

  Attributes:
    deviation: of the Gaussian that averages surroundings, pixels.
  """

  deviation: float

  @nn.compact
  def __call__(self, images):
    """Images [B, H, W, 1] in [-1, 1] to the map's, before `tanh`."""
    values = self.param('values', lambda _: jnp.asarray(contrast.unchanged()))
    mapped = 2 * map_contrast((images + 1) / 2, values, self.deviation) - 1
    return jnp.arctanh(jnp.clip(mapped, -_INSIDE, _INSIDE))


def map_contrast(
  images: array_types.Images, values: chex.Array, deviation: float
) -> array_types.Images:
  """`mri.contrast.apply_map` in JAX, for images [B, H, W, 1] in [0, 1]."""
  radius = int(3 * deviation + 0.5)  # as SciPy has it
  window = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
  window = jnp.asarray(window / window.sum(), images.dtype)
  surroundings = images
  for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
    surroundings = lax.conv_general_dilated(
      surroundings,
      window.reshape(shape),
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
  position = [
    jnp.clip(each, 0, 1) * (knots - 1)
    for each, knots in zip((images, surroundings), values.shape, strict=True)
  ]
  mapped = ndimage.map_coordinates(values, position, order=1, mode='nearest')
  return jnp.where(places.find_heads(images), mapped, 0.0)
