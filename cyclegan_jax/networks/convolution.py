"""Convolution layers, each derivative computed in its fastest exact form.

A convolution is bilinear in images and kernel, so all that training needs of it
are three linear maps: the forward map, and its transposes with respect to the
images and to the kernel. A transposed convolution has the same three with the
roles exchanged. Each can be written in several ways that are equal in exact
arithmetic (see `forms.FORMS`) and that differ in speed by up to a factor of 20.
`choose_form` picks one by the shape of the layer and the backend.
"""

from collections.abc import Callable
import functools
import math
from typing import Any

from flax import linen as nn
import jax

from cyclegan_jax.networks import convolution_forms as forms


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def conv(images, kernel, stride: int, padding: int):
  """Convolves `images` [B, H, W, I] with `kernel` [k, k, I, O].

  Cross-correlation with `padding` zeros on every side, as in every deep
  learning library.

  Returns:
    [B, (H + 2 padding - k) // stride + 1, likewise, O].
  """
  form = choose_form('forward', images.shape, kernel.shape, stride, padding)
  return forms.FORMS['forward'][form](images, kernel, stride, padding)


def _conv_forward(images, kernel, stride, padding):
  return conv(images, kernel, stride, padding), (images, kernel)


def _conv_backward(stride, padding, residuals, cotangent):
  images, kernel = residuals
  return (
    _input_gradient(cotangent, kernel, images.shape, stride, padding),
    _kernel_gradient(images, cotangent, kernel.shape, stride, padding),
  )


conv.defvjp(_conv_forward, _conv_backward)


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
  large = (batch, height * stride, width * stride, kernel.shape[2])
  return _input_gradient(images, kernel, large, stride, padding)


def _transpose_forward(images, kernel, stride, padding):
  return conv_transpose(images, kernel, stride, padding), (images, kernel)


def _transpose_backward(stride, padding, residuals, cotangent):
  images, kernel = residuals
  return (
    conv(cotangent, kernel, stride, padding),
    _kernel_gradient(cotangent, images, kernel.shape, stride, padding),
  )


conv_transpose.defvjp(_transpose_forward, _transpose_backward)


def _input_gradient(cotangent, kernel, shape, stride, padding):
  """Transpose with respect to the images, of `shape` [B, H, W, I]."""
  form = choose_form('input', shape, kernel.shape, stride, padding)
  return forms.FORMS['input'][form](cotangent, kernel, shape, stride, padding)


def _kernel_gradient(images, cotangent, shape, stride, padding):
  """Transpose with respect to the kernel, of `shape` [k, k, I, O]."""
  form = choose_form('kernel', images.shape, shape, stride, padding)
  return forms.FORMS['kernel'][form](images, cotangent, shape, stride, padding)


def choose_form(
  which: str, images: tuple, kernel: tuple, stride: int, padding: int
) -> str:
  """The form of `forms.FORMS` for one of a convolution's three maps.

  cuDNN and the TPU's compiler choose among the equivalents of these forms by
  themselves, and know their hardware: there it is 'direct'. On CPU the rule is
  what benchmarks/layers.py measures:

  - Tiny maps with wide kernels are bound by reading the kernel. XLA's own
    gradients flip and copy it first: 26 ms for a 4 x 4 map of 512 -> 512
    channels, k4 s2, where one matrix product takes 2.
  - Strided layers' gradients are slow as such: 30 ms for the kernel of 128 x
    128, 64 -> 128, k4 s2, where the same on blocks takes 10.
    Where no whole number of blocks fits, k3 s2, each place of a pixel in its
    block has a convolution of its own: 15 ms for the images of 128 x 128, 128
    -> 256, where it took 19 to 30, and no patches of the whole batch in memory.
  - So is the kernel's gradient with a single output channel: 17 ms for 31 x
    31, 512 -> 1, k4 s1, where images times patches of the cotangent take 1.
  - And the gradient of the images with a single channel and a wide window: 14
    ms for 134 x 134, 1 -> 64, k7 s1, as one matrix product 4.
  - Many channels on large maps are bound by arithmetic: with Winograd's, 64 x
    64, 256 -> 256, k3 takes 19 ms forward where it took 29, its gradients 20
    and 19 where they took 32 and 29. Fewer channels do not pay for it.

  Args:
    which: 'forward', 'input' or 'kernel'.
    images: [B, H, W, I], shape of the convolution's input; sides that are
      known to be multiples alone, as of an export, take 'direct'.
    kernel: [k, k, I, O], shape.
    stride: of the convolution.
    padding: likewise.
  """
  if jax.default_backend() != 'cpu' or not forms.are_known(images[:3]):
    return 'direct'
  size, _, inputs, outputs = kernel
  batch, *sides, _ = images
  positions = batch * math.prod(
    (side + 2 * padding - size) // stride + 1 for side in sides
  )
  fitting = forms.fitting(which, images, kernel, stride, padding)
  matrix = {
    'forward': positions <= 4,
    'input': (positions <= 512 and stride > 1 and inputs > 1)
    or (inputs == 1 and stride == 1 and size > 4),
    'kernel': positions * size**2 * inputs <= 2**20,
  }[which]
  if matrix:
    return 'matrix'
  if which == 'kernel' and outputs == 1 and stride == 1:
    return 'thin'
  if (
    min(inputs, outputs) >= 128 and positions >= 1024 and 'winograd' in fitting
  ):
    return 'winograd'
  if which == 'forward' or stride == 1 or inputs == 1:
    return 'direct'
  if 'blocks' in fitting:
    return 'blocks'
  if 'phases' in fitting:
    return 'phases'
  return 'taps' if which == 'kernel' and batch <= 2 else 'direct'


class Conv(nn.Module):
  """`conv` with a kernel [k, k, I, features] and, if wanted, a bias."""

  features: int
  kernel_size: int
  stride: int = 1
  padding: int = 0
  use_bias: bool = True
  kernel_init: Callable = nn.initializers.normal(0.02)

  @nn.compact
  def __call__(self, images: jax.Array) -> jax.Array:
    shape = (self.kernel_size,) * 2 + (images.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape)
    kernel = kernel.astype(images.dtype)
    result: Any = conv(images, kernel, self.stride, self.padding)
    return result + _bias(self, result.dtype) if self.use_bias else result


class ConvTranspose(nn.Module):
  """`conv_transpose` with a kernel [k, k, features, I] and perhaps a bias."""

  features: int
  kernel_size: int
  stride: int = 2
  padding: int = 1
  use_bias: bool = True
  kernel_init: Callable = nn.initializers.normal(0.02)

  @nn.compact
  def __call__(self, images: jax.Array) -> jax.Array:
    shape = (self.kernel_size,) * 2 + (self.features, images.shape[-1])
    kernel = self.param('kernel', self.kernel_init, shape)
    kernel = kernel.astype(images.dtype)
    result: Any = conv_transpose(images, kernel, self.stride, self.padding)
    return result + _bias(self, result.dtype) if self.use_bias else result


def _bias(layer, dtype):
  bias = layer.param('bias', nn.initializers.zeros, (layer.features,))
  return bias.astype(dtype).reshape(
    1, 1, 1, -1
  )  # the suite raises on rank promotion
