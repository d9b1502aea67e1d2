"""A graph of ONNX in the making: nodes and constants, each with its name.

Images are [B, C, H, W] here, as all programs of this format have them.
"""

import dataclasses
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx import numpy_helper

from cyclegan_jax.networks import normalisation

_OPSET = 18
_IR = 9  # of the time of that opset: older programs read it too


@dataclasses.dataclass(frozen=True)
class Graph:
  """What has been added so far; a value is known by its name."""

  nodes: list[onnx.NodeProto] = dataclasses.field(default_factory=list)
  constants: list[onnx.TensorProto] = dataclasses.field(default_factory=list)

  def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
    """Adds a node with one output, and returns the name of that."""
    name = f'{operator}_{len(self.nodes)}'
    node = helper.make_node(operator, inputs, [name], name, **attributes)
    self.nodes.append(node)
    return name

  def constant(self, value: Any, dtype: Any = np.float32) -> str:
    """Adds an array, and returns its name."""
    name = f'constant_{len(self.constants)}'
    array = np.ascontiguousarray(value, dtype).reshape(np.shape(value))
    self.constants.append(numpy_helper.from_array(array, name))
    return name

  def integers(self, *values: int) -> str:
    """A constant [N] of whole numbers: axes, places, sizes."""
    return self.constant(values, np.int64)


def take_channels(graph: Graph, images: str, first: int, end: int) -> str:
  """Channels `first` to `end` of images [B, C, H, W]."""
  places = (graph.integers(each) for each in (first, end, 1))
  return graph.add('Slice', images, *places)


def finish(
  graph: Graph,
  output: str,
  *,
  inputs: int,
  channels: int,
  metadata: dict[str, str],
) -> onnx.ModelProto:
  """The model from 'images' to 'translated', [batch, channels, height, width].

  Args:
    graph: whose nodes begin with 'images'.
    output: the value that is the result.
    inputs: channels of 'images'.
    channels: of the result.
    metadata: for `metadata_props`.
  """
  graph.nodes.append(helper.make_node('Identity', [output], ['translated']))
  taken, made = (
    helper.make_tensor_value_info(
      name, onnx.TensorProto.FLOAT, ('batch', count, 'height', 'width')
    )
    for name, count in (('images', inputs), ('translated', channels))
  )
  model = helper.make_model(
    helper.make_graph(
      graph.nodes, 'generator', [taken], [made], graph.constants
    ),
    opset_imports=[helper.make_opsetid('', _OPSET)],
    ir_version=_IR,
    producer_name='cyclegan_jax',
  )
  helper.set_model_props(model, metadata)
  return model


def conv(graph: Graph, images: str, params: dict, stride: int, padding: int):
  """`convolution.Conv` with its parameters, as many as it has."""
  return graph.add(
    'Conv',
    images,
    *_weights(graph, params),
    kernel_shape=params['kernel'].shape[:2],
    strides=(stride,) * 2,
    pads=(padding,) * 4,
  )


def conv_transpose(
  graph: Graph, images: str, params: dict, stride: int, padding: int
):
  """`convolution.ConvTranspose`, whose sides are `stride` times as large."""
  size = params['kernel'].shape[0]
  return graph.add(
    'ConvTranspose',
    images,
    *_weights(graph, params),
    kernel_shape=(size,) * 2,
    strides=(stride,) * 2,
    pads=(padding,) * 4,
    output_padding=(stride + 2 * padding - size,) * 2,
  )


def instance_norm(graph: Graph, features: str, params: dict | None, width: int):
  """`normalisation.InstanceNorm`; without parameters nothing is learnt."""
  params = params or {'scale': np.ones(width), 'bias': np.zeros(width)}
  return graph.add(
    'InstanceNormalization',
    features,
    graph.constant(params['scale']),
    graph.constant(params['bias']),
    epsilon=normalisation.EPSILON,
  )


def leaky_relu(graph: Graph, features: str, slope: float):
  """The rectifier, with a slope for what is negative."""
  if slope == 0:
    return graph.add('Relu', features)
  return graph.add('LeakyRelu', features, alpha=slope)


def reflect(graph: Graph, images: str, margin: int):
  """`padding.reflect`."""
  edges = graph.integers(0, 0, margin, margin, 0, 0, margin, margin)
  return graph.add('Pad', images, edges, mode='reflect')


def _weights(graph, params):
  """Kernel and bias: [k, k, I, O] to [O, I, k, k], or the same of a transpose.

  Both libraries say of a transposed convolution what it is the transpose of.
  """
  kernel = graph.constant(np.transpose(params['kernel'], (3, 2, 0, 1)))
  if 'bias' not in params:
    return (kernel,)
  return kernel, graph.constant(params['bias'])
