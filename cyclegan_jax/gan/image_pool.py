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
from jax import lax
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

  Returns:
    The new pool and images [B, H, W, C] of the same or an earlier time.
  """
  size = pool.images.shape[0]
  if size == 0:
    return pool, fakes

  def show(pool, inputs):
    fake, key = inputs
    swap_key, slot_key = jax.random.split(key)
    filling = pool.count < size
    swapping = ~filling & jax.random.bernoulli(swap_key)
    slot = jnp.where(
      filling, pool.count, jax.random.randint(slot_key, (), 0, size)
    )
    stored = lax.dynamic_index_in_dim(pool.images, slot, keepdims=False)
    kept = jnp.where(filling | swapping, fake, stored)
    images = lax.dynamic_update_index_in_dim(pool.images, kept, slot, axis=0)
    count = jnp.minimum(pool.count + 1, size)
    shown = jnp.where(swapping, stored, fake)
    return ImagePool(images=images, count=count), shown

  return lax.scan(show, pool, (fakes, jax.random.split(key, len(fakes))))
