"""Equal ways to compute the three linear maps of a convolution.

They agree in exact arithmetic and differ in speed by up to a factor of 20;
`convolution.choose_form` says which is taken when. Throughout, images are
[B, H, W, I], a kernel is [k, k, I, O], a cotangent, of the convolution's
result, [B, h, w, O], and a form is called

  forward  (images, kernel, stride, padding)
  input    (cotangent, kernel, shape of the images, stride, padding)
  kernel   (images, cotangent, shape of the kernel, stride, padding)
"""

from collections.abc import Sequence

import jax
from jax import lax
import jax.numpy as jnp

from cyclegan_jax.networks import winograd


def fitting(
  which: str, images: tuple, kernel: tuple, stride: int, padding: int
) -> list[str]:
  """The forms of `FORMS[which]` that such a layer can take."""
  unfit = set()
  sides = [side + 2 * padding for side in images[1:3]]
  if stride == 1 or any(side % stride for side in (kernel[0], *sides)):
    unfit.add('blocks')
  if stride == 1 or kernel[0] < stride or any(x % stride for x in images[1:3]):
    unfit.add('phases')
  if stride > 1:
    unfit.add('thin')
  if stride > 1 or kernel[0] != winograd.SIZE or padding >= winograd.SIZE:
    unfit.add('winograd')
  return [form for form in FORMS[which] if form not in unfit]


def are_known(sides: Sequence) -> bool:
  """Whether sides are numbers; those of an export may be symbols."""
  return all(isinstance(side, int) for side in sides)


def _direct(images, kernel, stride, padding):
  """XLA's own convolution."""
  after = padding
  if not are_known(images.shape[1:3]):
    # Padding that no window reaches, if sides divide by the stride: with it JAX
    # cannot prove how large the result is.
    after -= (2 * padding - kernel.shape[0]) % stride
  return lax.conv_general_dilated(
    images,
    kernel,
    (stride, stride),
    ((padding, after),) * 2,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


def _blocks(images, kernel, stride, padding):
  """A strided convolution as one of stride 1 on blocks of pixels."""
  size, _, inputs, outputs = kernel.shape
  small = size // stride
  kernel = kernel.reshape(small, stride, small, stride, inputs, outputs)
  kernel = kernel.transpose(0, 2, 1, 3, 4, 5)
  images = _to_blocks(_pad(images, padding), stride)
  return _direct(images, kernel.reshape(small, small, -1, outputs), 1, 0)


def _to_blocks(images, side):
  """[B, H, W, C] to [B, H / side, W / side, side side C]."""
  batch, height, width, channels = images.shape
  images = images.reshape(
    batch, height // side, side, width // side, side, channels
  )
  images = images.transpose(0, 1, 3, 2, 4, 5)
  return images.reshape(batch, height // side, width // side, -1)


def _transpose_for_images(form):
  def transpose(cotangent, kernel, shape, stride, padding):
    return jax.linear_transpose(
      lambda images: form(images, kernel, stride, padding),
      jax.ShapeDtypeStruct(shape, cotangent.dtype),
    )(cotangent)[0]

  return transpose


def _transpose_for_kernel(form):
  def transpose(images, cotangent, shape, stride, padding):
    return jax.linear_transpose(
      lambda kernel: form(images, kernel, stride, padding),
      jax.ShapeDtypeStruct(shape, cotangent.dtype),
    )(cotangent)[0]

  return transpose


def _matrix(images, kernel, stride, padding):
  """Patches times kernel, as one matrix product."""
  patches = _gather(images, kernel.shape[0], stride, padding)
  return jnp.tensordot(patches, kernel, 3)


def _matrix_input(cotangent, kernel, shape, stride, padding):
  """Kernel times cotangent, then every patch added where it was taken.

  The kernel comes first: read as it lies, which takes a quarter of the time of
  the other order.
  """
  patches = jnp.tensordot(kernel, cotangent, (3, 3))  # [k, k, I, B, h, w]
  return jax.linear_transpose(
    lambda images: _gather(images, kernel.shape[0], stride, padding),
    jax.ShapeDtypeStruct(shape, cotangent.dtype),
  )(patches.transpose(3, 4, 5, 0, 1, 2))[0]


def _phases_input(cotangent, kernel, shape, stride, padding):
  """A convolution of stride 1 for every place of a pixel in its block.

  With rows y = stride q + a, those elements k of the kernel touch a that are
  (a + padding) mod stride, and in q's order they come reversed.
  """
  size, _, inputs, _ = kernel.shape
  batch, height, width, _ = shape
  flipped = kernel.transpose(0, 1, 3, 2)[::-1, ::-1]
  blocks = (height // stride, width // stride)

  def place(start, axis):
    """Which elements touch it, and the padding of the cotangent for them."""
    shift, first = divmod(start + padding, stride)
    taps = slice((size - 1 - first) % stride, None, stride)
    before = -(-(size - first) // stride) - 1 - shift
    return taps, (before, blocks[axis] - cotangent.shape[1 + axis] + shift)

  rows = []
  for start in range(stride):
    down, above = place(start, 0)
    row = []
    for left in range(stride):
      across, beside = place(left, 1)
      row.append(
        lax.conv_general_dilated(
          cotangent,
          flipped[down, across],
          (1, 1),
          (above, beside),
          dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        )
      )
    rows.append(jnp.stack(row, axis=3))
  images = jnp.stack(rows, axis=2)  # [B, H / s, s, W / s, s, I]
  return images.reshape(batch, height, width, inputs)


def _matrix_kernel(images, cotangent, shape, stride, padding):
  """Patches times cotangent."""
  patches = _gather(images, shape[0], stride, padding)
  return jnp.tensordot(patches, cotangent, ((0, 1, 2), (0, 1, 2)))


def _thin_kernel(images, cotangent, shape, stride, padding):
  """Images times patches of the cotangent: for few output channels."""
  del stride  # 1
  size, _, inputs, outputs = shape
  # Cotangent positions that a pixel has touched, the farthest tap first.
  patches = _gather(cotangent, size, 1, size - 1 - padding)[:, :, :, ::-1, ::-1]
  kernel = jnp.tensordot(images, patches, ((0, 1, 2), (0, 1, 2)))
  return kernel.transpose(1, 2, 0, 3).reshape(size, size, inputs, outputs)


def _taps_kernel(images, cotangent, shape, stride, padding):
  """One matrix product for every element of the window."""
  size, _, inputs, outputs = shape
  images = _pad(images, padding)
  last = [stride * (side - 1) + 1 for side in cotangent.shape[1:3]]
  cotangent = cotangent.reshape(-1, outputs)
  taps = [
    images[:, row : row + last[0] : stride, column : column + last[1] : stride]
    .reshape(-1, inputs)
    .T
    @ cotangent
    for row in range(size)
    for column in range(size)
  ]
  return jnp.stack(taps).reshape(shape)


def _gather(images, size, stride, padding):
  """Patches [B, h, w, k, k, C] of images [B, H, W, C]."""
  images = _pad(images, padding)
  for axis in (1, 2):  # rows, then columns
    last = images.shape[axis] - size + 1
    taps = [
      lax.slice_in_dim(images, tap, tap + last, stride, axis)
      for tap in range(size)
    ]
    images = jnp.stack(taps, axis=axis + 2)
    # [B, h, W, k, C], then [B, h, w, k, k, C]
  return images


def _pad(images, padding):
  edge = (padding, padding)
  return jnp.pad(images, ((0, 0), edge, edge, (0, 0)))


# Equal ways to compute the three maps of a convolution.
FORMS = {
  'forward': {
    'direct': _direct,
    'blocks': _blocks,
    'matrix': _matrix,
    'winograd': winograd.forward,
  },
  'input': {
    'direct': _transpose_for_images(_direct),
    'blocks': _transpose_for_images(_blocks),
    'matrix': _matrix_input,
    'phases': _phases_input,
    'winograd': winograd.input_gradient,
  },
  'kernel': {
    'direct': _transpose_for_kernel(_direct),
    'blocks': _transpose_for_kernel(_blocks),
    'matrix': _matrix_kernel,
    'thin': _thin_kernel,
    'taps': _taps_kernel,
    'winograd': winograd.kernel_gradient,
  },
}
