"""A contrast map as a layer: where a generator starts from."""

from typing import NamedTuple

import chex
from flax import linen as nn
from jax import lax
import jax.numpy as jnp
import numpy as np

from cyclegan_jax import array_types
from cyclegan_jax.contrast import fit
from cyclegan_jax.mri import channels
from cyclegan_jax.mri import levels as levels_lib

_EXACT = 'highest'  # accelerators round what they multiply, unless told not to
# Of the range: what tissue is above the air, and above it less blurred.
TISSUE, SHARP = 0.04, 0.02
INSIDE = 0.99  # of tanh's range: beyond, nothing could be learnt any more


class Places(NamedTuple):
  """Where pixels are in their head.

  Attributes:
    heads: [B, H, W, 1] bool.
    depths: below the outline, `contrast.fit.measure_depth`, [B, H, W, 1].
    levels: of their slices, `mri.levels`, [B, H, W, 1] in [0, 1]; None: the
      middle, or not asked for.
  """

  heads: chex.Array | None
  depths: chex.Array | None
  levels: chex.Array | None = None


class ContrastLayer(nn.Module):
  """What to add to before `tanh` so that a generator begins as the map.

  A table of how a pixel and its surroundings look (`contrast.fit`): a fresh one
  leaves images as they are, and `start.put` puts the fitted one in its place.
  Air stays as it is: where it is noisy, its noise is what the other contrast's
  air has.

  Attributes:
    deviation: of the Gaussian that averages surroundings, pixels.
    look: what tells pixels of one intensity apart, one of `fit.LOOKS`.
    learns: whether the table is learnt like every parameter, or stays as it was
      fitted.
  """

  deviation: float
  look: str = 'surroundings'
  learns: bool = False

  @property
  def inputs(self) -> int:
    """Channels that it takes."""
    return channels.LEVELLED if self.look == 'place' else 1

  @nn.compact
  def __call__(self, images, places: Places | None = None):
    """Images [B, H, W, 1] in [-1, 1] to the map's, before `tanh`.

    Args:
      images: as said; by place with the level of their slices for a second
        channel, as in `mri.channels`.
      places: of their pixels; None: as the images tell themselves. Crops do
        not.
    """
    values = self.param(
      'values', lambda _: jnp.asarray(fit.unchanged(self.look))
    )
    if not self.learns:
      values = lax.stop_gradient(values)
    unit = (images + 1) / 2
    if images.shape[-1] == channels.LEVELLED and places is None:
      unit, places = unit[..., :1], Places(None, None, unit[..., 1:])
    mapped = map_contrast(unit, values, self.deviation, self.look, places)
    mapped = 2 * mapped - 1
    return jnp.arctanh(jnp.clip(mapped, -INSIDE, INSIDE))


def map_contrast(
  images: array_types.Images,
  values: chex.Array,
  deviation: float,
  look: str,
  places: Places | None = None,
) -> array_types.Images:
  """`contrast.fit.apply_map` in JAX, for images [B, H, W, 1] in [0, 1].

  Heads are as `find_heads` sees them, or as `places` says.
  """
  if look == 'surroundings':
    heads, other = find_heads(images), _blur(images, deviation)
  elif places is None or places.heads is None or places.depths is None:
    heads, other = _measure_depths(images, deviation)
  else:
    heads, other = places.heads, places.depths
  own, around = (
    _share(each, knots)
    for each, knots in zip((images, other), values.shape[:2], strict=True)
  )
  if look == 'place':
    tables = _choose_tables(values, images, places)
    rows = jnp.einsum('bkl,kb...->lb...', tables, own, precision=_EXACT)
  else:
    rows = jnp.einsum('kl,k...->l...', values, own, precision=_EXACT)
  mapped = jnp.sum(rows * around, 0)
  return jnp.where(heads, mapped, images)


def _choose_tables(values, images, places):
  """The table of each slice at its level, [B, K, L]."""
  levels = None if places is None else places.levels
  if levels is None:
    levels = jnp.full_like(images, levels_lib.MIDDLE)
  shares = _share(levels[:, :1, :1], values.shape[2])[..., 0, 0, 0]
  return jnp.einsum('klm,mb->bkl', values, shares, precision=_EXACT)


def find_places(images: array_types.Images, deviation: float) -> Places:
  """Where the pixels of whole slices are, [B, H, W, 1] in [0, 1].

  Args:
    images: as said.
    deviation: of the Gaussian that tells the depth, pixels.
  """
  return Places(*_measure_depths(images, deviation))


def _measure_depths(images, deviation):
  """Heads, and how deep below their outlines pixels are."""
  heads = find_heads(images)
  around = _blur(heads.astype(images.dtype), deviation)
  return heads, (around - fit.OUTLINE) / (1 - fit.OUTLINE)


def _blur(images, deviation):
  # As products of matrices: of 256 x 256 pixels 2 ms, 66 as two convolutions.
  down, across = (
    _blur_matrix(side, deviation, images.dtype) for side in images.shape[1:3]
  )
  return jnp.einsum('ij,bjkc,lk->bilc', down, images, across, precision=_EXACT)


def _blur_matrix(side, deviation, dtype):
  """Averages a line with `make_window`, [side, side]; beyond it lies 0."""
  window = make_window(deviation)
  radius = len(window) // 2
  places = jnp.arange(side, dtype=dtype)
  distance = places[:, None] - places[None]
  weights = window[radius] * jnp.exp(-0.5 * (distance / deviation) ** 2)
  return jnp.where(jnp.abs(distance) <= radius, weights, 0).astype(dtype)


def _share(images, knots):
  """How much of each knot is in a value: hat functions, [knots, B, H, W, 1].

  Linear interpolation as a sum over all knots: accelerators are slow to look
  something up, and what is learnt of a cell is added up in no certain order.
  """
  position = jnp.clip(images, 0, 1) * (knots - 1)
  places = jnp.arange(knots, dtype=images.dtype)
  distance = jnp.abs(position[None] - jnp.expand_dims(places, range(1, 5)))
  return jnp.maximum(1 - distance, 0)


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
  darkest = nn.one_hot(means.argmin(1), 4, dtype=means.dtype)
  level, noise = (
    (each * darkest).sum(1)[:, None, None, None] for each in (means, deviations)
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
