import functools

import chex
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from configs import quickstart
from configs import smoke
from configs import t1t2
from configs import t1t2_resnet
from cyclegan_jax import build
from cyclegan_jax.networks import convolution
from cyclegan_jax.networks import convolution_forms as forms

# kernel size, and the padding that lax.conv_transpose wants for a transposed
# convolution that doubles the sides
_DOUBLING = [(4, (2, 2)), (3, (1, 2))]


@pytest.mark.parametrize('size,padding', _DOUBLING)
@pytest.mark.parametrize('side', [1, 5, 8])
def test_conv_transpose_equals_lax_in_value_and_gradients(size, padding, side):
  with jax.enable_x64():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, side, side + 1, 3))
    kernel = rng.normal(size=(size, size, 4, 3))
    weights = rng.normal(size=(2, 2 * side, 2 * side + 2, 4))

    def ours(images, kernel):
      return convolution.conv_transpose(images, kernel, 2, 1)

    def theirs(images, kernel):
      return lax.conv_transpose(
        images, kernel, (2, 2), (padding, padding), transpose_kernel=True
      )

    chex.assert_trees_all_close(
      ours(images, kernel), theirs(images, kernel), rtol=0, atol=1e-12
    )
    gradients = [
      jax.grad(lambda x, k, f=f: (f(x, k) * weights).sum(), (0, 1))(
        images, kernel
      )
      for f in (ours, theirs)
    ]
    chex.assert_trees_all_close(*gradients, rtol=0, atol=1e-11)


@pytest.mark.parametrize('stride', [1, 2])
def test_conv_equals_scipy(stride):
  with jax.enable_x64():
    rng = np.random.default_rng(1)
    image, kernel = rng.normal(size=(9, 8)), rng.normal(size=(4, 4))
    expected = signal.correlate2d(np.pad(image, 1), kernel, mode='valid')
    actual = convolution.conv(
      image[None, :, :, None], kernel[:, :, None, None], stride, 1
    )
    np.testing.assert_allclose(
      actual[0, :, :, 0], expected[::stride, ::stride], atol=1e-12
    )


@pytest.mark.parametrize('size', [3, 4])
def test_conv_transpose_is_the_transpose_of_conv(size):
  """<conv(x), y> = <x, conv_transpose(y)> for all x and y."""
  with jax.enable_x64():
    rng = np.random.default_rng(2)
    kernel = rng.normal(size=(size, size, 2, 3))
    large = rng.normal(size=(1, 12, 8, 2))
    small = rng.normal(size=(1, 6, 4, 3))
    forward = convolution.conv(large, kernel, 2, 1)
    backward = convolution.conv_transpose(small, kernel, 2, 1)
    np.testing.assert_allclose(
      (forward * small).sum(), (large * backward).sum(), rtol=1e-12
    )


def test_layers_start_as_the_references_do():
  layer = convolution.ConvTranspose(64, kernel_size=4)
  params = layer.init(jax.random.key(0), jnp.zeros((1, 2, 2, 32)))
  kernel = np.asarray(params['params']['kernel'])
  chex.assert_shape(kernel, (4, 4, 64, 32))
  assert abs(kernel.std() - 0.02) < 2e-4
  assert not params['params']['bias'].any()


@pytest.mark.parametrize('recipe', [t1t2, t1t2_resnet, quickstart, smoke])
def test_forms_are_one_map_at_every_shape_that_is_trained(recipe, monkeypatch):
  """In float64, to 1e-10; channels beyond four are what benchmarks check."""
  layers = {
    (which, (*images[:3], min(images[3], 4)), _narrow(kernel), *rest)
    for which, images, kernel, *rest in _find_layers(
      recipe.get_config(), monkeypatch
    )
  }
  for which, *layer in sorted(layers):
    _check_forms(which, *layer)


@pytest.mark.parametrize('stride', [2, 3])
@pytest.mark.parametrize('size', [3, 4, 5])
@pytest.mark.parametrize('padding', [0, 1, 2])
def test_phases_are_the_same_map_at_any_window(size, stride, padding):
  layer = (2, 6 * stride, 4 * stride, 3), (size, size, 3, 2), stride, padding
  assert 'phases' in forms.fitting('input', *layer)
  _check_forms('input', *layer)


def _narrow(kernel):
  return (*kernel[:2], *(min(channels, 4) for channels in kernel[2:]))


@functools.cache  # recipes share layers
def _check_forms(which, images, kernel, stride, padding):
  rng = np.random.default_rng(0)
  side = [(n + 2 * padding - kernel[0]) // stride + 1 for n in images[1:3]]
  with jax.enable_x64():
    images_, kernel_, cotangent = (
      jnp.asarray(rng.normal(size=shape))
      for shape in (images, kernel, (images[0], *side, kernel[3]))
    )
    arrays, shape = {
      'forward': ((images_, kernel_), ()),
      'input': ((cotangent, kernel_), (images,)),
      'kernel': ((images_, cotangent), (kernel,)),
    }[which]
    results = {
      form: jax.jit(
        lambda x, y, f=forms.FORMS[which][form]: f(
          x, y, *shape, stride, padding
        )
      )(*arrays)
      for form in forms.fitting(which, images, kernel, stride, padding)
    }
    expected = results.pop('direct')
    for form, actual in results.items():
      np.testing.assert_allclose(
        actual,
        expected,
        rtol=0,
        atol=1e-10 * np.abs(expected).max(),
        err_msg=f'{which} {form} {images} {kernel} {stride} {padding}',
      )


def _find_layers(config, monkeypatch):
  """(which, images, kernel, stride, padding) of all maps that training needs.

  One image is taken, though training has two in some calls.
  """
  found = set()

  def record(*layer):
    found.add(layer)
    return 'direct'

  images = jnp.zeros((1, config.image_size, config.image_size, 1))

  def loss(params, images, module):
    return module.apply({'params': params}, images).sum()

  with monkeypatch.context() as patch:
    patch.setattr(convolution, 'choose_form', record)
    for module in build.networks(config).values():
      params = jax.eval_shape(module.init, jax.random.key(0), images)['params']
      grad = jax.grad(functools.partial(loss, module=module), (0, 1))
      jax.eval_shape(grad, params, images)
  assert {which for which, *_ in found} == set(forms.FORMS)
  return found


def test_tiny_maps_are_matrix_products_and_strided_gradients_blocks():
  """The rule, at shapes measured by benchmarks/layers.py."""
  choose = convolution.choose_form
  small, kernel = (1, 4, 4, 512), (4, 4, 512, 512)
  assert choose('input', small, kernel, 2, 1) == 'matrix'
  assert choose('kernel', small, kernel, 2, 1) == 'matrix'
  large, kernel = (1, 128, 128, 64), (4, 4, 64, 128)
  assert choose('forward', large, kernel, 2, 1) == 'direct'
  assert choose('input', large, kernel, 2, 1) == 'blocks'
  assert choose('kernel', large, kernel, 2, 1) == 'blocks'
  assert choose('input', large, (3, 3, 64, 128), 2, 1) == 'phases'


def test_accelerators_keep_their_own_forms(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  for which in forms.FORMS:
    shapes = (1, 4, 4, 512), (4, 4, 512, 512)
    assert convolution.choose_form(which, *shapes, 2, 1) == 'direct'
