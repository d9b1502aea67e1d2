import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax.contrast import fit
from cyclegan_jax.contrast import layer
from cyclegan_jax.networks import generators


def count(module, channels, size=256):
  variables = jax.eval_shape(
    module.init, jax.random.key(0), jnp.zeros((1, size, size, channels))
  )
  return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


# The PyTorch reference counts biases in front of normalisations without offset,
# which cancel them. Ours do not exist: so many are added.
_BIASES_UNET_256 = (128 + 256 + 512 * 4) + (512 * 4 + 256 + 128 + 64)
_BIASES_UNET_128 = _BIASES_UNET_256 - 2 * 512


def biases_resnet(blocks):
  return 64 + 128 + 256 + 2 * 256 * blocks + 128 + 64


@pytest.mark.parametrize(
  'channels,published', [(3, 54_409_603), (1, 54_403_457)]
)
def test_unet_256_has_the_published_size(channels, published):
  unet = generators.UNet(channels=channels)
  assert count(unet, channels) + _BIASES_UNET_256 == published


@pytest.mark.parametrize(
  'channels,published', [(3, 41_825_667), (1, 41_819_521)]
)
def test_unet_128_has_the_published_size(channels, published):
  unet = generators.UNet(channels=channels, levels=7)
  assert count(unet, channels, 128) + _BIASES_UNET_128 == published


@pytest.mark.parametrize(
  'blocks,channels,published',
  [
    (9, 3, 11_378_179),
    (6, 3, 7_837_699),
    (9, 1, 11_365_633),
    (6, 1, 7_825_153),
  ],
)
def test_resnet_has_the_published_size(blocks, channels, published):
  resnet = generators.ResNet(channels=channels, blocks=blocks)
  assert count(resnet, channels) + biases_resnet(blocks) == published


def test_the_tutorials_variant_has_the_published_size():
  unet = generators.UNet(
    leak=0.3, skip_leak=0.3, affine=True, norm_innermost=True, dropout=0.5
  )
  assert count(unet, 1) == 54_408_833


@pytest.mark.parametrize(
  'module,shape',
  [
    (generators.UNet(features=4, levels=3), (2, 16, 24, 1)),
    (generators.UNet(features=4, levels=2, channels=3), (1, 8, 8, 3)),
    (generators.ResNet(features=4, blocks=1), (2, 12, 20, 1)),
  ],
)
def test_generators_keep_the_shape_and_stay_in_range(module, shape):
  images = jax.random.normal(jax.random.key(0), shape)
  outputs, _ = jax.jit(module.init_with_output)(jax.random.key(1), images)
  chex.assert_shape(outputs, shape)
  chex.assert_tree_all_finite(outputs)
  assert jnp.abs(outputs).max() <= 1


@pytest.mark.parametrize(
  'sides,halvings,message',
  [
    ((130, 130), 7, r'130 x 130 does not divide by 2\^7; nearest 128 or 256'),
    ((100, 100), 7, r'100 x 100 does not divide by 2\^7; nearest 128'),
    ((64, 66), 2, r'64 x 66 .* nearest 64 x 64 or 64 x 68'),
  ],
)
def test_sides_that_do_not_fit_are_refused_by_name(sides, halvings, message):
  with pytest.raises(ValueError, match=message):
    generators.check_sides(sides, halvings)
  with pytest.raises(ValueError, match=message):
    network = generators.UNet(features=2, levels=halvings)
    network.init(jax.random.key(0), jnp.zeros((1, *sides, 1)))


def test_dropout_hangs_on_the_key_of_each_image_alone():
  module = generators.UNet(features=4, levels=3, dropout=0.5)
  images = jax.random.normal(jax.random.key(0), (4, 8, 8, 1))
  params = jax.jit(module.init)(jax.random.key(1), images)
  apply = jax.jit(module.apply)
  keys = jax.random.split(jax.random.key(2), 4)
  made = apply(params, images, keys)
  turned = apply(params, images[::-1], keys[::-1])
  np.testing.assert_allclose(turned[::-1], made, atol=1e-5)
  other = apply(params, images, keys[::-1])
  assert (jnp.abs(other - made).max(axis=(1, 2, 3)) > 1e-3).all()
  assert not jnp.array_equal(apply(params, images), made)


@pytest.mark.parametrize('norm_innermost', [False, True])
def test_only_a_normalised_innermost_level_has_dead_weights(norm_innermost):
  module = generators.UNet(features=4, levels=3, norm_innermost=norm_innermost)
  images = jax.random.normal(jax.random.key(0), (1, 8, 8, 1))
  params = jax.jit(module.init)(jax.random.key(1), images)['params']
  target = jax.random.normal(jax.random.key(2), images.shape)

  @jax.jit
  @jax.grad
  def gradient(params):
    return jnp.sum(module.apply({'params': params}, images) * target)

  grads = gradient(params)
  dead = {name for name, layer in grads.items() if not jnp.any(layer['kernel'])}
  # Its input is the innermost map: that is zero, so nothing is learnt above.
  assert dead == ({'down_2', 'up_1'} if norm_innermost else set())


def test_a_generator_with_a_contrast_map_starts_as_that_map():
  inside = (slice(None), slice(5, -5), slice(5, -5))
  images = np.zeros((2, 32, 24))
  images[inside] = np.random.default_rng(0).uniform(0.5, 0.95, (2, 22, 14))
  start = layer.ContrastLayer(1.5, name='contrast_map')
  resnet = generators.ResNet(features=4, blocks=1, start=start)
  inputs = jnp.asarray(2 * images[..., None] - 1, jnp.float32)
  params = jax.jit(resnet.init)(jax.random.key(0), inputs)['params']
  apply = jax.jit(resnet.apply)
  unchanged = apply({'params': params}, inputs)
  # What is nearly black or white stays within reach of what is learnt.
  chex.assert_trees_all_close(unchanged, inputs.clip(-0.99, 0.99), atol=1e-5)

  values = np.random.default_rng(1).uniform(0.05, 0.95, (12, 8))
  params['contrast_map']['values'] = jnp.asarray(values, jnp.float32)
  mapped = apply({'params': params}, inputs)
  expected = (
    2 * fit.apply_map(values, images, deviation=1.5, look='surroundings') - 1
  )
  expected = np.float32(expected).clip(-0.99, 0.99)
  inner = (slice(None), slice(6, -6), slice(6, -6))  # edges are near either
  chex.assert_trees_all_close(mapped[..., 0][inner], expected[inner], atol=1e-5)
  chex.assert_trees_all_close(mapped[:, :4, ..., 0], expected[:, :4])


def test_what_is_learnt_moves_a_result_no_further_than_its_reach():
  """Before tanh, from the start; little of it passes as it is."""
  start = layer.ContrastLayer(1.5, name='contrast_map')
  resnet = generators.ResNet(features=4, blocks=1, start=start, reach=0.2)
  rng = np.random.default_rng(0)
  inputs = jnp.asarray(rng.uniform(-0.9, 0.9, (2, 32, 24, 1)), jnp.float32)
  params = jax.jit(resnet.init)(jax.random.key(0), inputs)['params']
  apply = jax.jit(resnet.apply)
  free = generators.ResNet(features=4, blocks=1, start=start)
  begun = jnp.arctanh(apply({'params': params}, inputs))
  for scale in (1e-3, 100.0):
    kernel = scale * rng.normal(0, 1, params['out']['kernel'].shape)
    params['out']['kernel'] = jnp.asarray(kernel, jnp.float32)
    moved = jnp.arctanh(apply({'params': params}, inputs)) - begun
    if scale < 1:
      wanted = jnp.arctanh(free.apply({'params': params}, inputs)) - begun
      chex.assert_trees_all_close(moved, wanted, atol=1e-3)
    else:
      assert 0.19 < jnp.abs(moved).max() < 0.201


def test_a_resnet_drops_between_the_layers_of_its_blocks():
  """By the keys of its images, and in use not at all."""
  images = jnp.linspace(-1, 1, 2 * 16 * 16).reshape(2, 16, 16, 1)
  module = generators.ResNet(features=2, blocks=2, dropout=0.5)
  variables = jax.jit(module.init)(jax.random.key(0), images)
  keys = jax.random.split(jax.random.key(1), 2)
  apply = jax.jit(module.apply)
  kept = apply(variables, images)
  dropped = apply(variables, images, keys)
  plain = jax.jit(generators.ResNet(features=2, blocks=2).apply)
  chex.assert_trees_all_equal(kept, plain(variables, images))
  assert jnp.abs(dropped - kept).max() > 1e-3
  alone = apply(variables, images[1:], keys[1:])
  chex.assert_trees_all_close(dropped[1:], alone, atol=1e-6)


@pytest.mark.parametrize(
  'module',
  [
    generators.UNet(features=2, levels=3, norm='folded'),
    generators.ResNet(features=2, blocks=1, norm='folded'),
  ],
)
def test_a_folded_network_has_a_bias_everywhere_and_no_statistics(module):
  images = jnp.linspace(-1, 1, 16 * 16).reshape(1, 16, 16, 1)
  params = jax.jit(module.init)(jax.random.key(0), images)['params']
  apply = jax.jit(module.apply)
  layers = jax.tree.leaves(params, is_leaf=lambda x: 'kernel' in x)
  assert all(set(layer) == {'kernel', 'bias'} for layer in layers)
  # Linear up to its ReLUs: twice the input is nearly twice what is in front of
  # tanh, which a normalisation would undo.
  small, large = (
    jnp.arctanh(apply({'params': params}, scale * images))
    for scale in (1e-3, 2e-3)
  )
  chex.assert_trees_all_close(large, 2 * small, rtol=0.1, atol=1e-6)


def test_another_normalisation_is_refused():
  module = generators.ResNet(features=2, norm='batch')
  with pytest.raises(ValueError, match='none of instance, folded'):
    module.init(jax.random.key(0), jnp.zeros((1, 16, 16, 1)))
