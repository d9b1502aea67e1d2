"""Crops of slices for training, which know where in the head they are."""

import functools

import chex
import jax
from jax import lax
import jax.numpy as jnp

from cyclegan_jax import array_types
from cyclegan_jax.contrast import layer

MARGIN = 1 / 16  # of a slice's side: so much air is seen around a head


def cut(
  batch: array_types.Batch,
  keys: array_types.Keys,
  *,
  size: int,
  deviation: float,
  placed: bool = True,
  levelled: bool = False,
) -> tuple[dict[str, chex.Array], dict[str, layer.Places | None]]:
  """A random square of every slice, within the box of its head and a margin.

  Args:
    batch: {'a', 'b'}, each [B, H, W, C] in [-1, 1].
    keys: of its rows, [B].
    size: sides of the squares, pixels.
    deviation: as in `layer.find_places`.
    placed: whether generators ask for the places of pixels.
    levelled: whether the last channel is the level of slices.

  Returns:
    The squares, each [B, size, size, C], and their places in whole slices, or
    None.
  """
  cropped, places = {}, {}
  for row, (domain, images) in enumerate(sorted(batch.items())):
    own = jax.vmap(jax.random.fold_in, (0, None))(keys, row)
    levels = None
    if levelled:
      images, levels = _part(images)
    gray = jnp.mean(images, -1, keepdims=True)
    whole = layer.find_places((gray + 1) / 2, deviation)
    whole = whole._replace(levels=levels)
    cropped[domain], found = jax.vmap(functools.partial(_cut_one, size=size))(
      images, whole, own
    )
    places[domain] = found if placed else None
  return cropped, places


def part(
  batch: array_types.Batch, keys: array_types.Keys
) -> tuple[dict[str, chex.Array], dict[str, layer.Places]]:
  """Slices and their levels apart, as `cut` but whole.

  Args:
    batch: {'a', 'b'}, each [B, H, W, 2] in [-1, 1].
    keys: not used.

  Returns:
    The slices, each [B, H, W, 1], and their levels as places.
  """
  del keys
  images, places = {}, {}
  for domain, each in batch.items():
    images[domain], levels = _part(each)
    places[domain] = layer.Places(None, None, levels)
  return images, places


def _part(images):
  return images[..., :1], (images[..., 1:] + 1) / 2


def _cut_one(image, places, key, *, size):
  """Of an image [H, W, C] and of its places."""
  corner = [
    _draw(own, places.heads[..., 0].any(1 - axis), size)
    for axis, own in enumerate(jax.random.split(key))
  ]

  def cut_each(array):
    return lax.dynamic_slice(array, (*corner, 0), (size, size, array.shape[-1]))

  return jax.tree.map(cut_each, (image, places))


def _draw(key, inside, size):
  """Where a square begins along a side, of whose pixels some are a head's."""
  side = len(inside)
  margin = round(MARGIN * side)
  first = jnp.argmax(inside) - margin
  last = side - jnp.argmax(inside[::-1]) + margin - size
  # A head that is smaller than the square lies anywhere in it.
  low, high = (
    jnp.clip(each, 0, side - size)
    for each in (jnp.minimum(first, last), jnp.maximum(first, last))
  )
  return jax.random.randint(key, (), low, high + 1)
