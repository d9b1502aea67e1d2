"""Whether a file computes what our network does, on images made up for it."""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from cyclegan_jax import precision
from cyclegan_jax.mri import channels

_LEAST = 64  # pixels of a side, about


def measure_difference(
  translate: Callable[[np.ndarray], np.ndarray], network: Any, params: Any
) -> float:
  """The largest difference on images of several sizes and looks; NaN is told.

  Args:
    translate: images [B, H, W, C] in [-1, 1] to the same shape, as the file
      does.
    network: a generator.
    params: its parameters.

  Returns:
    In the network's units, of which the whole range is 2; infinite where the
    shapes differ.
  """
  # Parameters are no constants of the program, which would hold and fold them.
  apply = jax.jit(network.apply)
  largest = 0.0
  for images in _make_images(2**network.halvings, network.channels):
    levels = np.linspace(0.1, 0.8, len(images))
    images = channels.spread(images, network.inputs, levels)
    with precision.exactly():
      expected = np.asarray(apply({'params': params}, images))
    found = np.asarray(translate(images))
    if found.shape != expected.shape:
      return np.inf
    difference = float(np.abs(found - expected).max())
    largest = float(np.maximum(largest, difference))  # NaN stays
  return largest


def _make_images(multiple: int, count: int) -> Iterator[np.ndarray]:
  """Square and oblong, one and three, noise and a head of sorts."""
  side = -(-_LEAST // multiple) * multiple
  rng = np.random.default_rng(0)
  for shape in ((1, side, side), (3, side, side + multiple)):
    yield rng.uniform(-1, 1, (*shape, count)).astype(np.float32)
  rows, columns = np.mgrid[-1.3 : 1.3 : side * 2j, -1.3 : 1.3 : side * 1j]
  inside = rows**2 + columns**2 < 1
  head = np.where(inside, 0.5 + 0.3 * np.sin(5 * rows + 3 * columns), 0.02)
  head = head + rng.uniform(-0.02, 0.02, head.shape)
  images = np.broadcast_to(head[None, :, :, None], (1, *head.shape, count))
  yield (2 * images - 1).astype(np.float32)
