"""Dropout whose masks hang on nothing but the key of each image."""

import jax
import jax.numpy as jnp

from cyclegan_jax import array_types


def dropout(
  features: array_types.Features, keys: array_types.Keys, *, rate: float
) -> array_types.Features:
  """Sets a share of the features to 0 and scales the others up.

  Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from
  Overfitting", inverted. Every image draws with its own key, so that it does
  not matter how a batch is divided over devices, or in time.

  Args:
    features: [B, H, W, F].
    keys: of the images, [B].
    rate: the share, in [0, 1).
  """
  keep = 1 - rate

  def draw(key):
    return jax.random.bernoulli(key, keep, features.shape[1:])

  return jnp.where(jax.vmap(draw)(keys), features / keep, 0)
