"""A generator as an artifact of `jax.export`: StableHLO, weights and all.

What it takes to use one, without this package:

  network = jax.export.deserialize(open('model.stablehlo', 'rb').read())
  translated = network.call(images)
"""

from collections.abc import Callable
from collections.abc import Mapping
import pathlib
from typing import Any

from flax import linen as nn
import jax
from jax import export
import numpy as np

from cyclegan_jax import precision

# Pixels: of a smaller image nothing could be proven of the corners that a
# contrast map looks at.
SMALLEST = 32
_PLATFORMS = ('cpu', 'cuda', 'tpu')


def describe(network: Any) -> dict[str, str]:
  """Nothing: there is no more to be known of it."""
  del network
  return {}


def write(
  path: pathlib.Path, network: Any, params: Any, metadata: Mapping[str, str]
):
  """Writes what translates float32 images [B, H, W, C] in [-1, 1].

  B is free; H and W are multiples of 2^halvings from `SMALLEST` on, and W not
  less than a sixteenth of H.

  Args:
    path: of the file.
    network: a generator.
    params: its parameters, NumPy arrays.
    metadata: not in the file, whose format has no room for it.
  """
  del metadata
  shape = jax.ShapeDtypeStruct(symbolic_shape(network), np.float32)

  def translate(images):
    return network.apply({'params': params}, images)

  with precision.exactly():  # wherever it is run
    exported = export.export(jax.jit(translate), platforms=_PLATFORMS)(shape)
  path.write_bytes(exported.serialize())


def load(
  path: pathlib.Path, network: nn.Module
) -> Callable[[np.ndarray], np.ndarray]:
  """The file as a function of images [B, H, W, C]."""
  del network
  exported = export.deserialize(bytearray(path.read_bytes()))
  return lambda images: np.asarray(exported.call(images))


def symbolic_shape(network: Any) -> tuple:
  """[B, H, W, C] of a generator, of which C alone is a number."""
  multiple = 2**network.halvings
  least = -(-SMALLEST // multiple)
  rows, columns = f'{multiple}*h', f'{multiple}*w'
  shape = export.symbolic_shape(
    f'b, {rows}, {columns}, {network.inputs}',
    constraints=[
      f'h >= {least}',
      f'w >= {least}',
      f'floordiv({rows}, 16) <= {columns}',
    ],
  )
  return tuple(shape)
