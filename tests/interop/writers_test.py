"""Every generator in every format, at several sizes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from cyclegan_jax.contrast import layer
from cyclegan_jax.interop import formats
from cyclegan_jax.interop import verification
from cyclegan_jax.mri import channels
from cyclegan_jax.networks import generators

_NETWORKS = {
  'unet': generators.UNet(features=4, levels=3),
  'colour': generators.UNet(features=4, levels=2, channels=3),
  'tutorial': generators.UNet(
    features=4,
    levels=4,
    leak=0.3,
    skip_leak=0.3,
    affine=True,
    norm_innermost=True,
  ),
  'unet_folded': generators.UNet(features=4, levels=3, norm='folded'),
  'resnet': generators.ResNet(features=4, blocks=2),
  'resnet_folded': generators.ResNet(features=4, blocks=1, norm='folded'),
  'mapped': generators.ResNet(
    features=4,
    blocks=1,
    start=layer.ContrastLayer(3.0, name='contrast_map'),
  ),
  'mapped_by_depth': generators.ResNet(
    features=4,
    blocks=1,
    start=layer.ContrastLayer(3.0, 'depth', name='contrast_map'),
    reach=0.2,
  ),
  'mapped_by_place': generators.ResNet(
    features=4,
    blocks=1,
    start=layer.ContrastLayer(3.0, 'place', name='contrast_map'),
  ),
}


def make_params(network):
  """Parameters of which every one matters: none is 0 or 1."""
  images = jnp.zeros((1, 16, 16, network.channels))
  shapes = jax.eval_shape(network.init, jax.random.key(0), images)['params']
  rng = np.random.default_rng(0)
  # Where nothing is normalised, larger ones would saturate every pixel.
  scale = 1.0 if network.norm == 'instance' else 0.3

  def make(path, like):
    name = jax.tree_util.keystr(path, simple=True, separator='/')
    if name == 'contrast_map/values':
      return rng.uniform(0, 1, like.shape).astype(np.float32)
    values = rng.normal(0.1, 0.3, like.shape) * scale
    return values.astype(np.float32)

  return jax.tree_util.tree_map_with_path(make, shapes)


def draw_heads(shape, channels, seed):
  """Noisy heads in noisy air, [B, H, W, C] in [-1, 1]."""
  rng = np.random.default_rng(seed)
  texture = ndimage.gaussian_filter(rng.normal(size=shape), (0, 3, 3))
  rows, columns = np.meshgrid(
    *(np.linspace(-1.3, 1.3, side) for side in shape[1:]), indexing='ij'
  )
  inside = rows**2 + columns**2 < 1
  heads = np.where(inside, 0.5 + 0.1 * texture / texture.std(), 0)
  noise = 0.02 * rng.normal(size=(2, *shape))
  heads = np.hypot(heads + noise[0], noise[1]).clip(0, 1)
  images = np.broadcast_to(heads[..., None], (*shape, channels))
  return (2 * images - 1).astype(np.float32)


@pytest.fixture(scope='module', params=list(_NETWORKS))
def model(request):
  network = _NETWORKS[request.param]
  return network, make_params(network)


@pytest.mark.parametrize('name', ['stablehlo', 'onnx'])
def test_it_computes_what_the_network_does(model, name, tmp_path):
  network, params = model
  known = formats.FORMATS[name]
  path = tmp_path / f'model{known.suffixes[0]}'
  module = formats.open_module(name)
  module.write(path, network, params, {'notice': 'none'})
  translate = module.load(path, network)
  apply = functools.partial(jax.jit(network.apply), {'params': params})
  # Other sizes than those that are measured below.
  for seed, shape in enumerate([(1, 48, 80), (3, 32, 48)]):
    images = draw_heads(shape, network.channels, seed)
    if network.inputs == channels.LEVELLED:
      images = channels.spread(
        images, channels.LEVELLED, np.linspace(0.2, 0.9, len(images))
      )
    np.testing.assert_allclose(
      translate(images), apply(images), atol=known.tolerance / 2
    )
  found = verification.measure_difference(translate, network, params)
  assert 0 <= found < known.tolerance / 2


def test_another_network_is_noticed(model):
  network, params = model
  changed = params | {'out': {'kernel': params['out']['kernel'] + 0.01}}
  changed['out']['bias'] = params['out']['bias']
  translate = functools.partial(jax.jit(network.apply), {'params': changed})
  assert verification.measure_difference(translate, network, params) > 1e-4


def test_other_shapes_and_no_numbers_are_noticed(model):
  network, params = model
  measure = verification.measure_difference
  assert measure(lambda images: images[:1, 1:], network, params) == np.inf
  shown = slice(network.channels)
  assert np.isnan(
    measure(lambda images: images[..., shown] + np.nan, network, params)
  )
