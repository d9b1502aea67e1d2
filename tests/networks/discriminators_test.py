"""The discriminator against published sizes; how far one score sees."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import normalisation


def count(module, channels):
  variables = jax.eval_shape(
    module.init, jax.random.key(0), jnp.zeros((1, 256, 256, channels))
  )
  return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


# The PyTorch reference counts biases in front of normalisations without offset,
# which cancel them. Ours do not exist: so many are added.
_BIASES = 128 + 256 + 512


@pytest.mark.parametrize('channels,published', [(3, 2_764_737), (1, 2_762_689)])
def test_it_has_the_published_size(channels, published):
  discriminator = discriminators.PatchDiscriminator()
  assert count(discriminator, channels) + _BIASES == published


def test_the_tutorials_variant_has_the_published_size():
  discriminator = discriminators.PatchDiscriminator(leak=0.3, affine=True)
  assert count(discriminator, 1) == 2_763_521


def test_it_scores_30_by_30_patches_of_256():
  scores = jax.eval_shape(
    lambda x: discriminators.PatchDiscriminator().init_with_output(
      jax.random.key(0), x
    )[0],
    jnp.zeros((2, 256, 256, 1)),
  )
  chex.assert_shape(scores, (2, 30, 30, 1))


@pytest.mark.parametrize('layers,field', [(2, 34), (3, 70)])
def test_receptive_field_of_a_score(layers, field, monkeypatch):
  """One score's gradient reaches exactly a square of 70 (34) pixels."""
  # The statistics of a normalisation reach everywhere; what is to be measured
  # is how far the convolutions do.
  monkeypatch.setattr(normalisation, 'normalise', lambda features: features)
  module = discriminators.PatchDiscriminator(features=1, layers=layers)
  images = jnp.ones((1, 128, 128, 1))
  params = jax.eval_shape(module.init, jax.random.key(0), images)
  params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), params)

  def score(images):
    scores = module.apply(params, images)[0, :, :, 0]
    return scores[scores.shape[0] // 2, scores.shape[1] // 2]

  reached = np.asarray(jax.jit(jax.grad(score))(images))[0, :, :, 0] != 0
  rows, cols = np.flatnonzero(reached.any(1)), np.flatnonzero(reached.any(0))
  assert rows[0] > 0 and rows[-1] < 127, 'the field must lie inside'
  assert rows[-1] - rows[0] + 1 == field
  assert cols[-1] - cols[0] + 1 == field


def test_the_width_doubles_up_to_eight_times():
  module = discriminators.PatchDiscriminator(features=2, layers=5)
  params = jax.eval_shape(
    module.init, jax.random.key(0), jnp.zeros((1, 256, 256, 1))
  )['params']
  widths = [params[f'conv_{i}']['kernel'].shape[-1] for i in range(6)]
  assert widths == [2, 4, 8, 16, 16, 16]
  assert params['out']['kernel'].shape == (4, 4, 16, 1)


def test_logits_have_the_type_of_the_images():
  module = discriminators.PatchDiscriminator(
    features=2, layers=1, dtype='bfloat16'
  )
  images = jax.random.normal(jax.random.key(0), (1, 16, 16, 1))
  scores, _ = module.init_with_output(jax.random.key(1), images)
  assert scores.dtype == jnp.float32
  exact = module.clone(dtype=None).init_with_output(jax.random.key(1), images)
  np.testing.assert_allclose(scores, exact[0], atol=0.05)
