"""Whether a gradient is good."""

import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax.gan import gradients


def make_tree():
  rng = np.random.default_rng(0)
  shapes = {'kernel': (4, 4, 3, 8), 'bias': (8,), 'out': (3, 1), 'loss': ()}
  return {
    name: rng.normal(size=shape).astype(np.float32)
    for name, shape in shapes.items()
  }


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('name', list(make_tree()))
def test_a_single_bad_number_is_noticed(name, value):
  tree = make_tree()
  assert gradients.are_finite(tree)
  tree[name].reshape(-1)[-1] = value
  assert not gradients.are_finite(tree)


def test_infinities_of_both_signs_do_not_cancel():
  pair = {'x': jnp.array([jnp.inf, -jnp.inf, 1.0])}
  assert not gradients.are_finite(pair)


def test_large_numbers_are_good():
  assert gradients.are_finite({'x': jnp.full((512, 512), 1e30)})
