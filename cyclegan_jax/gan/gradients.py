"""Gradients of a batch, in as many parts as fit, and whether they are good."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp


def accumulate(loss: Callable, params: Any, images: Any, parts: int):
  """Gradient and aux of `loss`, the mean over equal parts of the images.

  Args:
    loss: of (params, images), with aux (images, metrics).
    params: what is differentiated.
    images: a tree of what there is for each image, [B, ...].
    parts: how many.

  Returns:
    The gradient, and as aux the images [B, H, W, C] and the mean metrics.
  """
  gradient = jax.grad(loss, has_aux=True)
  if parts == 1:
    return gradient(params, images)

  def add(total, part):
    grads, aux = gradient(params, part)
    return jax.tree.map(jnp.add, total, grads), aux

  split = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), images)
  total, (made, metrics) = lax.scan(
    add, jax.tree.map(jnp.zeros_like, params), split
  )
  return jax.tree.map(lambda x: x / parts, total), (
    jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), made),
    jax.tree.map(jnp.mean, metrics),
  )


def are_finite(tree: Any) -> jax.Array:
  """Whether all numbers are, as their sum is not if one of them is not.

  Sums over the last axis are products with ones: 6 ms for 64 M numbers on two
  cores, where `jnp.isfinite` takes 15 and `jnp.sum` 26.
  """
  sums = [
    jnp.sum(x @ jnp.ones(x.shape[-1], x.dtype)) if x.ndim else x
    for x in jax.tree.leaves(tree)
  ]
  return jnp.isfinite(jnp.stack(sums)).all()
