import chex
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from cyclegan_jax.gan import losses


@pytest.fixture(scope='module')
def scores():
  return np.random.default_rng(0).normal(0, 3, (2, 5, 4, 1)).astype(np.float32)


@pytest.mark.parametrize('real', [True, False])
def test_bce_equals_the_definition(scores, real):
  probability = 1 / (1 + np.exp(-scores.astype(np.float64)))
  expected = -np.log(probability if real else 1 - probability).mean()
  actual = losses.adversarial_loss(jnp.asarray(scores), real=real, kind='bce')
  chex.assert_shape(actual, ())
  np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_bce_of_an_undecided_discriminator_is_ln_2():
  undecided = jnp.zeros((1, 30, 30, 1))
  loss = losses.adversarial_loss(undecided, real=True, kind='bce')
  np.testing.assert_allclose(loss, np.log(2), rtol=1e-5)


def test_bce_stays_finite_for_certain_mistakes():
  loss = losses.adversarial_loss(
    jnp.full((1, 2, 2, 1), -1e4), real=True, kind='bce'
  )
  np.testing.assert_allclose(loss, 1e4, rtol=1e-6)


@pytest.mark.parametrize('real', [True, False])
def test_lsgan_is_the_mean_squared_distance(scores, real):
  expected = np.mean((scores.astype(np.float64) - real) ** 2)
  actual = losses.adversarial_loss(jnp.asarray(scores), real=real, kind='lsgan')
  np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_an_unknown_kind_is_named():
  with pytest.raises(ValueError, match="'hinge': one of bce, lsgan"):
    losses.adversarial_loss(jnp.zeros((1, 1, 1, 1)), real=True, kind='hinge')


@pytest.mark.parametrize('loss', [losses.cycle_loss, losses.identity_loss])
def test_cycle_and_identity_are_mean_absolute_differences(loss):
  rng = np.random.default_rng(1)
  first, second = rng.uniform(-1, 1, (2, 3, 8, 8, 1)).astype(np.float32)
  actual = loss(jnp.asarray(first), jnp.asarray(second))
  chex.assert_shape(actual, ())
  np.testing.assert_allclose(actual, np.abs(first - second).mean(), rtol=1e-6)


@pytest.mark.parametrize('loss', [losses.cycle_loss, losses.identity_loss])
def test_what_signatures_say_of_shapes_is_checked(loss):
  """Signatures say so; unchecked, one image would be compared to both."""
  with pytest.raises(jaxtyping.TypeCheckError, match=r"'restored'|'mapped'"):
    loss(jnp.ones((2, 4, 4, 1)), jnp.zeros((1, 4, 4, 1)))
