"""A contrast map as a layer: where a generator starts from."""

import chex
from flax import linen as nn
from jax import lax
import jax.numpy as jnp
from jax.scipy import ndimage
import numpy as np

from cyclegan_jax import array_types
from cyclegan_jax.contrast import fit

# Of the range: what tissue is above the air, and above it less blurred.
TISSUE, SHARP = 0.04, 0.02
INSIDE = 0.99  # of tanh's range: beyond, nothing could be learnt any more


class ContrastLayer(nn.Module):
  """What to add to before `tanh` so that a generator begins as the map.

  A table of how a pixel and its surroundings look (`contrast.fit`), learnt like
  every parameter; a fresh one leaves images as they are, and `start.put` puts
  the fitted one in its place. Air stays as it is: where it is noisy, its noise
  is what the other contrast's air has.

  Attributes:
    deviation: of the Gaussian that averages surroundings, pixels.
  """

  deviation: float

  @nn.compact
  def __call__(self, images):
    """Images [B, H, W, 1] in [-1, 1] to the map's, before `tanh`."""
    values = self.param('values', lambda _: jnp.asarray(fit.unchanged()))
    mapped = 2 * map_contrast((images + 1) / 2, values, self.deviation) - 1
    return jnp.arctanh(jnp.clip(mapped, -INSIDE, INSIDE))


def map_contrast(
  images: array_types.Images, values: chex.Array, deviation: float
) -> array_types.Images:
  """`contrast.fit.apply_map` in JAX, for images [B, H, W, 1] in [0, 1].

  Heads are as `find_heads` sees them.
  """
  window = jnp.asarray(make_window(deviation), images.dtype)
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
  return jnp.where(find_heads(images), mapped, images)


def make_window(deviation: float) -> np.ndarray:
  """Weights of a Gaussian in one dimension, [2 r + 1], r as SciPy has it."""
  radius = int(3 * deviation + 0.5)
  window = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
  return window / window.sum()


def find_heads(images: array_types.Images) -> chex.Array:
  """`mri.head.find_heads` as far as one compiled pass can tell: bool.

  Without the search for connected parts: tissue is what stands out from the
  darkest corner of its image and from that corner's noise, both by itself and
  averaged over its neighbours; a head is what has tissue above and below it and
  on both sides, however dark it is. Dice above 0.95 up to a noise of a tenth of
  the brain's signal.

  Args:
    images: [B, H, W, 1] in [0, 1].
  """
  images = lax.stop_gradient(images)
  # In this order: of symbolic sides it is known that they are 32 and above.
  side = max(images.shape[1] // 16, 2)
  rows = jnp.stack([images[:, :side], images[:, -side:]], 1)
  corners = jnp.stack([rows[:, :, :, :side], rows[:, :, :, -side:]], 1)
  means, deviations = (
    measure(corners, axis=(3, 4, 5)).reshape(images.shape[0], 4)
    for measure in (jnp.mean, jnp.std)
  )
  darkest = means.argmin(1, keepdims=True)
  level, noise = (
    jnp.take_along_axis(each, darkest, 1)[..., None, None]
    for each in (means, deviations)
  )
  blurred = nn.avg_pool(images, (3, 3), padding='SAME')
  tissue = (blurred > level + jnp.maximum(TISSUE, 1.5 * noise)) & (
    images > level + SHARP + noise
  )
  heads = True
  for axis in (1, 2):
    until = tissue.cumsum(axis)
    total = tissue.sum(axis, keepdims=True)
    heads = heads & (until > 0) & (until - tissue < total)
  return heads
