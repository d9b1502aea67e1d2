"""A history of fakes, so that discriminators do not chase the newest ones.

Shrivastava et al. 2017, "Learning from Simulated and Unsupervised Images
through Adversarial Training", section 2.3, with the law of the CycleGAN
reference: until the pool is full an image is stored and returned; from then on,
with probability one half, a random stored image is returned and the new one
takes its place, else the new one is returned.
"""

from typing import Any

from flax import struct
import jax
import jax.numpy as jnp

from cyclegan_jax import array_types


class ImagePool(struct.PyTreeNode):
  images: Any  # [P, H, W, C] float32
  count: Any  # [] int32: how many of them are filled


def create_pool(size: int, image_shape: tuple[int, int, int]) -> ImagePool:
  """An empty pool for `size` images [H, W, C]; size 0 passes images through."""
  return ImagePool(
    images=jnp.zeros((size, *image_shape)), count=jnp.zeros((), jnp.int32)
  )


def query(
  pool: ImagePool, fakes: array_types.Images, key: array_types.Key
) -> tuple[ImagePool, array_types.Images]:
  """Shows the fakes [B, H, W, C] to the pool, one after the other.

  Whose turn sees what depends on what is drawn alone, not on images: it is told
  for all of them at once, and each image is moved once.

  Returns:
    The new pool and images [B, H, W, C] of the same or an earlier time.
  """
  size = pool.images.shape[0]
  if size == 0:
    return pool, fakes
  turns = jnp.arange(len(fakes))
  swap_keys, slot_keys = jax.vmap(jax.random.split, out_axes=1)(
    jax.random.split(key, len(fakes))
  )
  filling = pool.count + turns < size
  swapping = ~filling & jax.vmap(jax.random.bernoulli)(swap_keys)
  drawn = jax.vmap(lambda key: jax.random.randint(key, (), 0, size))(slot_keys)
  slots = jnp.where(filling, pool.count + turns, drawn)
  writing = filling | swapping
  # [B, B]: whether another turn, in a column, writes to the slot of a turn.
  one, other = turns[:, None], turns[None]
  meeting = (slots[:, None] == slots[None]) & writing[None]
  last = jnp.where(meeting & (other < one), other, -1).max(axis=1)

  def pick(where, images, others):
    return jnp.where(where[:, None, None, None], images, others)

  stored = pick(last >= 0, fakes[last], pool.images[slots])
  shown = pick(swapping, stored, fakes)
  # Of several turns that write to a slot the last one's image stays.
  stays = writing & ~(meeting & (other > one)).any(axis=1)
  images = pool.images.at[jnp.where(stays, slots, size + turns)].set(
    fakes, mode='drop', unique_indices=True
  )
  count = jnp.minimum(pool.count + len(fakes), size)
  return ImagePool(images=images, count=count), shown
