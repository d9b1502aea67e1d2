"""Reflection padding: NumPy's, and the gradient of JAX's own."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax.networks import padding

SHAPES = [
  ((2, 12, 9, 3), 1),
  ((1, 16, 11, 2), 3),
  ((1, 8, 8, 1), 3),  # exactly apart
  ((2, 4, 7, 2), 3),  # both borders show the same lines
  ((1, 2, 2, 1), 1),
]


@pytest.mark.parametrize(('shape', 'margin'), SHAPES)
def test_reflection_is_numpys(shape, margin):
  images = np.random.default_rng(0).standard_normal(shape, np.float32)
  edges = ((0, 0), (margin, margin), (margin, margin), (0, 0))
  chex.assert_trees_all_equal(
    padding.reflect(images, margin), np.pad(images, edges, mode='reflect')
  )


@pytest.mark.parametrize(('shape', 'margin'), SHAPES)
def test_gradient_is_that_of_the_indices(shape, margin):
  """Every element of the result is a copy; its cotangent goes back there."""
  batch, height, width, channels = shape
  rows, columns = (
    np.pad(np.arange(side), margin, mode='reflect') for side in (height, width)
  )
  cotangent = np.random.default_rng(1).standard_normal(
    (batch, rows.size, columns.size, channels), np.float32
  )
  expected = np.zeros(shape, np.float32)
  np.add.at(expected, np.s_[:, rows[:, None], columns], cotangent)
  _, pull_back = jax.vjp(
    lambda images: padding.reflect(images, margin), jnp.zeros(shape)
  )
  (gradient,) = pull_back(jnp.asarray(cotangent))
  chex.assert_trees_all_close(gradient, expected, rtol=1e-6, atol=1e-6)
