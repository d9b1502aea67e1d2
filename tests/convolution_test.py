import chex
import jax
from jax import lax
import numpy as np
import pytest
from scipy import signal

from cyclegan_jax import convolution

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
      image[None, :, :, None],
      kernel[:, :, None, None],
      stride=stride,
      padding=1,
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
    forward = convolution.conv(large, kernel, stride=2, padding=1)
    backward = convolution.conv_transpose(small, kernel, 2, 1)
    np.testing.assert_allclose(
      (forward * small).sum(), (large * backward).sum(), rtol=1e-12
    )


def test_layers_start_as_the_references_do():
  layer = convolution.ConvTranspose(64, kernel_size=4)
  params = layer.init(jax.random.key(0), np.zeros((1, 2, 2, 32), np.float32))
  kernel = np.asarray(params['params']['kernel'])
  chex.assert_shape(kernel, (4, 4, 64, 32))
  assert abs(kernel.std() - 0.02) < 2e-4
  assert not params['params']['bias'].any()
