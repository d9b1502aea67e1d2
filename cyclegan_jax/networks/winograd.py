"""Convolutions of 3 x 3 and stride 1 with 16 products where there are 36.

Winograd's minimal filtering F(2 x 2, 3 x 3): Lavin and Gray 2016, "Fast
Algorithms for Convolutional Neural Networks", section 4.1. Images are cut into
tiles of 4 x 4 that overlap by 2; tiles and kernel are transformed, multiplied
element by element, which is a matrix product over the channels for each of the
16, and transformed back to 2 x 2 pixels of the result. The transforms add,
subtract and halve: in float32 the result is closer to the exact one than that
of the sum over 9 taps.

Arguments and results are those of `convolution_forms`.
"""

import jax.numpy as jnp

SIZE = 3  # of a kernel
_STEP = 2  # pixels of the result that a tile makes, along a side
_TILE = 4

# The paper's B^T, of tiles; G, of kernels; A^T, of products.
_TILES = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
_KERNELS = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
_RESULTS = ((1, 1, 1, 0), (0, 1, -1, -1))
# Rows of G, mirrored, are those of G in this order.
_MIRRORED = (3, 1, 2, 0)


def forward(images, kernel, stride, padding):
  """The convolution; `stride` is 1."""
  del stride
  return _multiply(images, _transform_kernel(kernel), padding)


def input_gradient(cotangent, kernel, shape, stride, padding):
  """The transpose for images of a shape: with the kernel turned round."""
  del shape, stride
  weights = _transform_kernel(kernel)
  weights = [[weights[i][j].T for j in _MIRRORED] for i in _MIRRORED]
  return _multiply(cotangent, weights, SIZE - 1 - padding)


def kernel_gradient(images, cotangent, shape, stride, padding):
  """The transpose for the kernel."""
  del stride
  dtype, (images, cotangent) = images.dtype, _widen(images, cotangent)
  sides = cotangent.shape[1:3]
  # Tiles, four times as large as the images, are to be made here: those of
  # `forward` would be kept till now, and such as need nothing but the images
  # are made as early by the compiler.
  waiting = images + 0 * cotangent[0, 0, 0, 0]
  tiles = _transform(_TILES, _cut(waiting, sides, padding))
  whole = _pad(cotangent, 0, [_STEP * _count(side) for side in sides])
  blocks = _transform(_turn(_RESULTS), _slices(whole, _STEP, sides))
  products = [
    [
      tile.reshape(-1, tile.shape[-1]).T @ block.reshape(-1, block.shape[-1])
      for tile, block in zip(*lines, strict=True)
    ]
    for lines in zip(tiles, blocks, strict=True)
  ]
  taps = _transform(_turn(_KERNELS), products)
  kernel = jnp.stack([jnp.stack(line) for line in taps])
  return kernel.reshape(shape).astype(dtype)


def _multiply(images, weights, padding):
  """The convolution with a kernel of such weights, [4][4] of [I, O]."""
  dtype, (images,) = images.dtype, _widen(images)
  batch, *sides, _ = images.shape
  sides = [side + 2 * padding - SIZE + 1 for side in sides]
  rows, columns = map(_count, sides)
  products = [
    [
      (tile.reshape(-1, tile.shape[-1]) @ weight).reshape(
        batch, rows, columns, -1
      )
      for tile, weight in zip(*lines, strict=True)
    ]
    for lines in zip(
      _transform(_TILES, _cut(images, sides, padding)), weights, strict=True
    )
  ]
  results = jnp.stack(
    [jnp.stack(line, axis=3) for line in _transform(_RESULTS, products)], axis=2
  )  # [B, rows, 2, columns, 2, O]
  results = results.reshape(batch, _STEP * rows, _STEP * columns, -1)
  return results[:, : sides[0], : sides[1]].astype(dtype)


def _transform_kernel(kernel):
  """[4][4] of [I, O]."""
  (kernel,) = _widen(kernel)
  taps = [[kernel[i, j] for j in range(SIZE)] for i in range(SIZE)]
  return _transform(_KERNELS, taps)


def _cut(images, sides, padding):
  """[4][4] of a pixel of every tile, for a result of such sides."""
  whole = [_STEP * _count(side) + _TILE - _STEP for side in sides]
  return _slices(_pad(images, padding, whole), _TILE, sides)


def _slices(images, taps, sides):
  """[taps][taps] of every second pixel, [B, rows, columns, C]."""
  last = [_STEP * (_count(side) - 1) + 1 for side in sides]
  return [
    [
      images[:, i : i + last[0] : _STEP, j : j + last[1] : _STEP]
      for j in range(taps)
    ]
    for i in range(taps)
  ]


def _transform(matrix, grid):
  """matrix grid matrix^T, of a grid of arrays."""
  lines = [[_add(row, column) for column in _turn(grid)] for row in matrix]
  return [[_add(row, line) for row in matrix] for line in lines]


def _turn(grid):
  """Lines for columns."""
  return list(zip(*grid, strict=True))


def _add(factors, arrays):
  """The sum of multiples, in as few operations as it takes."""
  total = None
  for factor, array in zip(factors, arrays, strict=True):
    if factor == 0:
      continue
    part = array if abs(factor) == 1 else abs(factor) * array
    if total is None:
      total = part if factor > 0 else -part
    else:
      total = total + part if factor > 0 else total - part
  return total


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
