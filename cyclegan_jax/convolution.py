"""Convolution layers whose gradients are fast on every backend.

XLA's own gradient of a strided transposed convolution with respect to its
kernel is pathological on CPU: 2,484 ms for one 16 x 16, 1024 -> 256, k4 s2
layer where 24 ms are enough. Written as the exact transpose of a strided
convolution, every derivative is one of the three products that convolution
already has, and all of them are fast:

  forward          the convolution's gradient with respect to its input
  input gradient   the convolution itself
  kernel gradient  the convolution's gradient with respect to its kernel, with
                   the cotangent in the place of its input

On GPU and TPU these are cuDNN's and the matrix unit's native operations too.
"""

from collections.abc import Callable
import functools

from flax import linen as nn
import jax
from jax import lax


def conv(images, kernel, *, stride: int, padding: int):
  """Convolves `images` [B, H, W, I] with `kernel` [k, k, I, O].

  Cross-correlation with `padding` zeros on every side, as in every deep
  learning library.

  Returns:
    [B, (H + 2 padding - k) // stride + 1, likewise, O].
  """
  return lax.conv_general_dilated(
    images,
    kernel,
    (stride, stride),
    ((padding, padding),) * 2,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def conv_transpose(images, kernel, stride: int, padding: int):
  """The transpose of `conv` as a linear map: `stride` times larger images.

  For kernel 4, stride 2, padding 1 and for kernel 3, stride 2, padding 1 this
  is PyTorch's ConvTranspose2d, the latter with output padding 1.

  Args:
    images: [B, H, W, I].
    kernel: [k, k, O, I], the kernel of the convolution O -> I being transposed.
    stride: the factor by which the sides grow.
    padding: the padding of the convolution being transposed.

  Returns:
    [B, H * stride, W * stride, O].
  """
  batch, height, width, _ = images.shape
  large = jax.ShapeDtypeStruct(
    (batch, height * stride, width * stride, kernel.shape[2]), images.dtype
  )
  convolve = functools.partial(
    conv, kernel=kernel, stride=stride, padding=padding
  )
  return jax.linear_transpose(convolve, large)(images)[0]


def _forward(images, kernel, stride, padding):
  return conv_transpose(images, kernel, stride, padding), (images, kernel)


def _backward(stride, padding, residuals, cotangent):
  images, kernel = residuals
  convolve = functools.partial(conv, stride=stride, padding=padding)
  kernel_gradient = jax.linear_transpose(
    functools.partial(convolve, cotangent), kernel
  )
  return convolve(cotangent, kernel), kernel_gradient(images)[0]


conv_transpose.defvjp(_forward, _backward)


class Conv(nn.Module):
  """`conv` with a kernel [k, k, I, features] and, if wanted, a bias."""

  features: int
  kernel_size: int
  stride: int = 1
  padding: int = 0
  use_bias: bool = True
  kernel_init: Callable = nn.initializers.normal(0.02)

  @nn.compact
  def __call__(self, images):
    shape = (self.kernel_size,) * 2 + (images.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape)
    images = conv(images, kernel, stride=self.stride, padding=self.padding)
    return images + _bias(self) if self.use_bias else images


class ConvTranspose(nn.Module):
  """`conv_transpose` with a kernel [k, k, features, I] and perhaps a bias."""

  features: int
  kernel_size: int
  stride: int = 2
  padding: int = 1
  use_bias: bool = True
  kernel_init: Callable = nn.initializers.normal(0.02)

  @nn.compact
  def __call__(self, images):
    shape = (self.kernel_size,) * 2 + (self.features, images.shape[-1])
    kernel = self.param('kernel', self.kernel_init, shape)
    images = conv_transpose(images, kernel, self.stride, self.padding)
    return images + _bias(self) if self.use_bias else images


def _bias(layer):
  bias = layer.param('bias', nn.initializers.zeros, (layer.features,))
  return bias.reshape(1, 1, 1, -1)  # the suite raises on rank promotion
