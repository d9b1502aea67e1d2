"""Convolutions of 3 x 3 and stride 1 with 16 products where there are 36.

Winograd's minimal filtering F(2 x 2, 3 x 3): Lavin and Gray 2016, "Fast
Algorithms for Convolutional Neural Networks", section 4.1. Images are cut into
tiles of 4 x 4 that overlap by 2; tiles and kernel are transformed, multiplied
element by element, which is a matrix product over the channels for each of the
16, and transformed back to 2 x 2 pixels of the result. The transforms add,
subtract and halve: in float32 the result is closer to the exact one than that
of the sum over 9 taps.

Arguments and results are those of `convolution_forms`. One side after the
other is transformed, each in an expression of its own: all at once is no
faster, and takes the compiler twice as long.
"""

from jax import lax
import jax.numpy as jnp

SIZE = 3  # of a kernel
_STEP = 2  # pixels of the result that a tile makes, along a side
_TILE = 4

# The paper's B^T, of tiles; G, of kernels; A^T, of products.
_TILES = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_KERNELS = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
_RESULTS = ((1, 1, 1, 0), (0, 1, -1, -1))


def forward(images, kernel, stride, padding):
  """The convolution; `stride` is 1."""
  del stride
  dtype, (images, kernel) = images.dtype, _widen(images, kernel)
  sides = [side + 2 * padding - SIZE + 1 for side in images.shape[1:3]]
  weights = kernel
  for axis in range(2):  # [4, 4, I, O], columns first
    taps = [lax.index_in_dim(weights, i, axis, False) for i in range(SIZE)]
    weights = _mix(_KERNELS, taps)
  tiles = _cut_tiles(images, sides, padding)
  results = jnp.einsum('jibhwc,jico->jibhwo', tiles, weights)
  for axis in (4, 2):  # columns, then rows: a pixel more for each of them
    results = _mix(_RESULTS, results, axis)
    shape = list(results.shape)
    shape[axis - 1 : axis + 1] = [_STEP * shape[axis - 1]]
    results = results.reshape(shape)
  return results[:, : sides[0], : sides[1]].astype(dtype)


def input_gradient(cotangent, kernel, shape, stride, padding):
  """The transpose for images of a shape: with the kernel turned round."""
  del shape
  turned = kernel[::-1, ::-1].swapaxes(2, 3)
  return forward(cotangent, turned, stride, SIZE - 1 - padding)


def kernel_gradient(images, cotangent, shape, stride, padding):
  """The transpose for the kernel."""
  del stride
  dtype, (images, cotangent) = images.dtype, _widen(images, cotangent)
  sides = cotangent.shape[1:3]
  # Tiles, four times as large as the images, are to be made here: those of
  # `forward` would be kept till now, and such as need nothing but the images
  # are made as early by the compiler.
  waiting = images + 0 * cotangent[0, 0, 0, 0]
  tiles = _cut_tiles(waiting, sides, padding)
  blocks = _pad(cotangent, 0, [_STEP * _count(side) for side in sides])
  for axis, side in zip((1, 3), sides, strict=True):
    blocks = _mix(_turn(_RESULTS), _slices(blocks, _STEP, side, axis))
  tiles, blocks = (
    each.reshape(_TILE**2, -1, each.shape[-1]) for each in (tiles, blocks)
  )
  products = jnp.stack(
    [tile.T @ block for tile, block in zip(tiles, blocks, strict=True)]
  ).reshape(_TILE, _TILE, *shape[2:])
  taps = _mix(_turn(_KERNELS), products)  # [3, 4, I, O]
  taps = _mix(_turn(_KERNELS), [taps[:, i] for i in range(_TILE)])
  return taps.reshape(shape).astype(dtype)  # rows first


def _cut_tiles(images, sides, padding):
  """Transformed, [4, 4, B, rows, columns, C], for a result of such sides."""
  whole = [_STEP * _count(side) + _TILE - _STEP for side in sides]
  tiles = _pad(images, padding, whole)
  for axis, side in zip((1, 3), sides, strict=True):  # one axis more each time
    tiles = _mix(_TILES, _slices(tiles, _TILE, side, axis))
  return tiles


def _slices(images, taps, side, axis):
  """Along an axis, every second pixel from the first on, the second, ..."""
  last = _STEP * (_count(side) - 1) + 1
  return [
    lax.slice_in_dim(images, i, i + last, _STEP, axis) for i in range(taps)
  ]


def _mix(matrix, arrays, axis=0):
  """For each row of a matrix the sum of multiples; stacked along `axis`."""
  return jnp.stack([_add(row, arrays) for row in matrix], axis)


def _add(factors, arrays):
  """The sum of multiples, in as few operations as it takes."""
  terms = [each for each in zip(factors, arrays, strict=True) if each[0]]
  (factor, array), *others = terms
  total = array if factor == 1 else factor * array
  for factor, array in others:
    part = array if abs(factor) == 1 else abs(factor) * array
    total = total + part if factor > 0 else total - part
  return total


def _turn(matrix):
  """Lines for columns."""
  return list(zip(*matrix, strict=True))


def _count(side):
  """Tiles along a side of the result."""
  return -(-side // _STEP)


def _pad(images, before, sides):
  """Zeros before, and after up to such sides."""
  edges = [
    (before, whole - before - side)
    for whole, side in zip(sides, images.shape[1:3], strict=True)
  ]
  return jnp.pad(images, ((0, 0), *edges, (0, 0)))


def _widen(*arrays):
  """Sums of bfloat16 are taken in float32."""
  dtype = jnp.promote_types(arrays[0].dtype, jnp.float32)
  return [array.astype(dtype) for array in arrays]
