"""Where the PyTorch reference keeps what, and where we do: both directions.

The reference is junyanz/pytorch-CycleGAN-and-pix2pix. One table a network, of
its layers, says all names and shapes; reading and writing both go by it.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import itertools
from typing import Any
from typing import NamedTuple

import numpy as np

EPSILON = 1e-5  # of the reference's batch normalisation
LEAST_LEVELS = 5  # of its U-Nets
_STATISTICS = ('running_mean', 'running_var')


@dataclasses.dataclass(frozen=True)
class Description:
  """A network of the reference.

  Attributes:
    kind: 'resnet', 'unet' or 'patches'.
    channels: of images: what a generator takes and makes, a discriminator
      takes.
    features: width of the first layer.
    depth: blocks of a ResNet, levels of a U-Net, strided layers of a
      discriminator.
    norm: 'instance', without scale and offset, or 'batch', with both.
    bias: whether the layers in front of a normalisation have a bias; with
      'instance' it is there and does nothing.
    dropout: whether a ResNet has any, which shifts names.
  """

  kind: str
  channels: int
  features: int
  depth: int
  norm: str = 'instance'
  bias: bool = True
  dropout: bool = False


class Layer(NamedTuple):
  """A convolution.

  Attributes:
    ours: names down to it in our parameters.
    theirs: its name there.
    inputs: channels.
    outputs: channels.
    size: of its kernel.
    norm: the name there of the normalisation behind it; '' for none.
    transposed: whether it makes images larger.
    final: whether it has a bias whatever the normalisation.
  """

  ours: tuple[str, ...]
  theirs: str
  inputs: int
  outputs: int
  size: int
  norm: str = ''
  transposed: bool = False
  final: bool = False


def list_layers(network: Description) -> list[Layer]:
  """The convolutions of a network, from its images on."""
  tables = {'resnet': _resnet, 'unet': _unet, 'patches': _patches}
  return list(tables[network.kind](network))


def _resnet(network) -> Iterator[Layer]:
  width, blocks = network.features, network.depth
  yield Layer(('in',), 'model.1', network.channels, width, 7, 'model.2')
  for i in (1, 2):
    at = 3 * i + 1
    yield Layer(
      *((f'down_{i}',), f'model.{at}', width, 2 * width, 3, f'model.{at + 1}')
    )
    width *= 2
  for i, half in itertools.product(range(blocks), (0, 1)):
    block = f'model.{10 + i}.conv_block'
    at = half * (5 + network.dropout) or 1
    yield Layer(
      (f'block_{i}', f'conv_{half}'),
      f'{block}.{at}',
      *(width, width, 3),
      f'{block}.{at + 1}',
    )
  for i in (1, 0):
    at = 10 + blocks + 3 * (1 - i)
    yield Layer(
      (f'up_{i}',),
      f'model.{at}',
      *(width, width // 2, 3),
      f'model.{at + 1}',
      transposed=True,
    )
    width //= 2
  last = f'model.{17 + blocks}'
  yield Layer(('out',), last, width, network.channels, 7, final=True)


def _unet(network) -> Iterator[Layer]:
  widths = [network.features * min(2**i, 8) for i in range(network.depth)]
  innermost = network.depth - 1
  yield Layer(('down_0',), 'model.model.0', network.channels, widths[0], 4)
  places = ['', 'model.model.1.model']
  for level in range(1, network.depth):
    own, inputs = places[level], widths[level - 1]
    norm = f'{own}.2' if level < innermost else ''
    yield Layer((f'down_{level}',), f'{own}.1', inputs, widths[level], 4, norm)
    places.append(f'{own}.3.model')
  for level in range(innermost, 0, -1):
    # What comes from below, and the skip that lies beside it.
    joined = widths[level] * (1 if level == innermost else 2)
    at = 3 if level == innermost else 5
    yield Layer(
      (f'up_{level - 1}',),
      f'{places[level]}.{at}',
      *(joined, widths[level - 1], 4),
      f'{places[level]}.{at + 1}',
      transposed=True,
    )
  yield Layer(
    ('out',),
    'model.model.3',
    *(2 * widths[0], network.channels, 4),
    transposed=True,
    final=True,
  )


def _patches(network) -> Iterator[Layer]:
  widths = [network.features * min(2**i, 8) for i in range(network.depth + 1)]
  first = network.features
  yield Layer(('conv_0',), 'model.0', network.channels, first, 4, final=True)
  for i in range(1, network.depth + 1):
    at = 3 * i - 1
    yield Layer(
      *((f'conv_{i}',), f'model.{at}', widths[i - 1], widths[i], 4),
      f'model.{at + 1}',
    )
  last = f'model.{3 * network.depth + 2}'
  yield Layer(('out',), last, widths[-1], 1, 4, final=True)


def list_shapes(network: Description) -> dict[str, tuple[int, ...]]:
  """Shapes of what the reference's `state_dict` holds, by name.

  Counts of batches are left out: older versions had none.
  """
  shapes = {}
  for layer in list_layers(network):
    sides = (layer.outputs, layer.inputs)
    if layer.transposed:
      sides = sides[::-1]
    shapes[f'{layer.theirs}.weight'] = (*sides, layer.size, layer.size)
    if layer.final or network.bias:
      shapes[f'{layer.theirs}.bias'] = (layer.outputs,)
    if layer.norm and network.norm == 'batch':
      for name in ('weight', 'bias', *_STATISTICS):
        shapes[f'{layer.norm}.{name}'] = (layer.outputs,)
  return shapes


def to_params(
  network: Description, tensors: Mapping[str, np.ndarray]
) -> dict[str, Any]:
  """Our parameters of the reference's.

  A batch normalisation, as it is in use, is multiplied into the layer in front
  of it, in float64; a bias that an instance normalisation cancels is dropped.

  Args:
    network: of which they are.
    tensors: by name, of the shapes in `list_shapes`.

  Returns:
    A tree of float32 arrays.
  """
  params: dict[str, Any] = {}
  for layer in list_layers(network):
    kernel = np.asarray(tensors[f'{layer.theirs}.weight'], np.float64)
    bias = np.asarray(tensors.get(f'{layer.theirs}.bias', 0.0), np.float64)
    kernel = kernel.transpose(2, 3, 1, 0)
    # A transposed layer's kernel is that of the convolution it is of, ours as
    # there: outputs come before inputs in both.
    if layer.norm and network.norm == 'batch':
      scale, offset = (
        np.asarray(tensors[f'{layer.norm}.{name}'], np.float64)
        for name in ('weight', 'bias')
      )
      mean, variance = (
        np.asarray(tensors[f'{layer.norm}.{name}'], np.float64)
        for name in _STATISTICS
      )
      scale = scale / np.sqrt(variance + EPSILON)
      kernel = kernel * (scale[:, None] if layer.transposed else scale)
      bias = offset + (bias - mean) * scale
    own = {'kernel': np.ascontiguousarray(kernel, np.float32)}
    if network.norm == 'batch' or not layer.norm:
      bias = np.broadcast_to(bias, layer.outputs)
      own['bias'] = np.ascontiguousarray(bias, np.float32)
    node = params
    for name in layer.ours[:-1]:
      node = node.setdefault(name, {})
    node[layer.ours[-1]] = own
  return params


def from_params(
  network: Description, params: Mapping[str, Any]
) -> dict[str, np.ndarray]:
  """The reference's parameters of ours, in the order of its layers.

  Where it has a bias that an instance normalisation cancels, zeros are put.

  Args:
    network: of which they are, of instance normalisation.
    params: a tree of arrays.

  Returns:
    Float32 arrays by name, of the shapes in `list_shapes`.
  """
  tensors = {}
  for layer in list_layers(network):
    own: Any = params
    for name in layer.ours:
      own = own[name]
    kernel = np.asarray(own['kernel'], np.float32).transpose(3, 2, 0, 1)
    bias = np.asarray(own.get('bias', np.zeros(layer.outputs)), np.float32)
    tensors[f'{layer.theirs}.weight'] = np.ascontiguousarray(kernel)
    tensors[f'{layer.theirs}.bias'] = np.ascontiguousarray(bias)
  return tensors
