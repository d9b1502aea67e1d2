"""Every network against PyTorch's, with the same weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators

torch = pytest.importorskip('torch', reason='PyTorch is not installed')

from benchmarks import torch_cyclegan  # noqa: E402  needs it

_TUTORIAL = dict(leak=0.3, affine=True)
_UNET = _TUTORIAL | dict(skip_leak=0.3, norm_innermost=True)
_PAIRS = {
  'resnet_9': (
    generators.ResNet(features=4, blocks=9),
    functools.partial(torch_cyclegan.ResNet, 4, 9),
  ),
  'resnet_6': (
    generators.ResNet(features=3, blocks=6),
    functools.partial(torch_cyclegan.ResNet, 3, 6),
  ),
  'unet': (
    generators.UNet(features=3, levels=5),
    functools.partial(torch_cyclegan.UNet, 3, 5),
  ),
  'unet_of_the_tutorial': (
    generators.UNet(features=3, levels=4, **_UNET),
    functools.partial(torch_cyclegan.UNet, 3, 4, **_UNET),
  ),
  'discriminator': (
    discriminators.PatchDiscriminator(features=4),
    functools.partial(torch_cyclegan.PatchDiscriminator, 4),
  ),
  'discriminator_of_the_tutorial': (
    discriminators.PatchDiscriminator(features=4, **_TUTORIAL),
    functools.partial(torch_cyclegan.PatchDiscriminator, 4, **_TUTORIAL),
  ),
}


@pytest.mark.parametrize(
  'dtype,tolerance', [(np.float32, 1e-4), (np.float64, 1e-9)]
)
@pytest.mark.parametrize('name', list(_PAIRS))
def test_it_computes_the_same(name, dtype, tolerance):
  module, make = _PAIRS[name]
  rng = np.random.default_rng(0)
  images = rng.uniform(-1, 1, (2, 32, 64, 1)).astype(dtype)
  with jax.enable_x64(dtype is np.float64):
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)['params']
    params = jax.tree.map(
      lambda x: rng.normal(0.1, 0.3, x.shape).astype(dtype), shapes
    )
    apply = jax.jit(module.apply)
    ours = np.asarray(apply({'params': params}, jnp.asarray(images)))

  def find(path, shape):
    found = params
    for part in path.split('/'):
      found = found[part]
    assert found.shape == shape
    return found

  with torch.device('meta'):
    network = make()
  network = torch_cyclegan.load(network, find)
  with torch.inference_mode():
    theirs = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
  assert len(jax.tree.leaves(params)) == len(list(network.parameters()))
  assert ours.dtype == dtype
  np.testing.assert_allclose(
    ours, theirs.numpy().transpose(0, 2, 3, 1), atol=tolerance, rtol=tolerance
  )


@pytest.mark.parametrize(
  'module,inert,published',
  [
    # Biases before a normalisation without offset do nothing: JZ counts them.
    (discriminators.PatchDiscriminator(), 128 + 256 + 512, 2_762_689),
    (discriminators.PatchDiscriminator(**_TUTORIAL), 0, 2_763_521),
    (generators.UNet(**_UNET), 0, 54_408_833),
  ],
)
def test_it_has_the_published_size(module, inert, published):
  images = jax.ShapeDtypeStruct((1, 256, 256, 1), np.float32)
  shapes = jax.eval_shape(module.init, jax.random.key(0), images)['params']
  size = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  assert size + inert == published
