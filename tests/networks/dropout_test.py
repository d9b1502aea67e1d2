"""Shares, scales and independence of the masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax.networks import dropout


@pytest.mark.parametrize('rate', [0.2, 0.5])
def test_a_share_is_zero_and_the_mean_is_kept(rate):
  keys = jax.random.split(jax.random.key(0), 3)
  made = dropout.dropout(jnp.ones((3, 40, 50, 10)), keys, rate=rate)
  np.testing.assert_allclose(np.unique(made), [0, 1 / (1 - rate)], rtol=1e-6)
  # 20,000 draws an image: five deviations of a share
  spread = 5 * np.sqrt(rate * (1 - rate) / 20_000)
  shares = (made == 0).mean(axis=(1, 2, 3))
  np.testing.assert_allclose(shares, rate, atol=spread)


def test_masks_of_two_images_are_independent():
  keys = jax.random.split(jax.random.key(0), 2)
  first, second = dropout.dropout(jnp.ones((2, 40, 50, 10)), keys, rate=0.5)
  both = (first == 0) & (second == 0)
  np.testing.assert_allclose(both.mean(), 0.25, atol=5 * 0.43 / 20_000**0.5)
