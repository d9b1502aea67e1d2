import chex
import jax
import jax.numpy as jnp
import numpy as np

from cyclegan_jax.networks import normalisation


def test_normalise_equals_its_definition_and_the_gradient_of_autodiff():
  rng = np.random.default_rng(0)
  with jax.enable_x64():
    features = 3 + 2 * rng.normal(size=(2, 5, 4, 3))
    features[0, :, :, 0] = 1.0  # blank: nothing to amplify
    weights = rng.normal(size=features.shape)
    expected = (features - features.mean((1, 2), keepdims=True)) / np.sqrt(
      features.var((1, 2), keepdims=True) + 1e-5
    )
    np.testing.assert_allclose(
      normalisation.normalise(features), expected, rtol=0, atol=1e-12
    )

    def plain(features):
      centred = features - features.mean((1, 2), keepdims=True)
      variance = jnp.square(centred).mean((1, 2), keepdims=True)
      return centred / jnp.sqrt(variance + 1e-5)

    gradients = [
      jax.grad(lambda features, f=f: (f(features) * weights).sum())(features)
      for f in (normalisation.normalise, plain)
    ]
    chex.assert_trees_all_close(*gradients, rtol=0, atol=1e-10)
