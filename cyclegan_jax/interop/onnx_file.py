"""Generators as files of ONNX: each of `networks.generators` once more."""

from collections.abc import Callable
from collections.abc import Mapping
import pathlib
from typing import Any

import numpy as np
import onnx

from cyclegan_jax.interop import onnx_contrast
from cyclegan_jax.interop import onnx_graph
from cyclegan_jax.networks import generators


def describe(network: Any) -> dict[str, str]:
  """Nothing: there is no more to be known of it."""
  del network
  return {}


def write(
  path: pathlib.Path, network: Any, params: dict, metadata: Mapping[str, str]
):
  """Writes what translates float32 'images' [B, C, H, W] to 'translated'.

  B is free; H and W are multiples of 2^halvings.

  Args:
    path: of the file.
    network: a generator.
    params: its parameters, NumPy arrays.
    metadata: for the `metadata_props` of the model.
  """
  model = make_model(network, params, metadata)
  onnx.checker.check_model(model, full_check=True)
  onnx.save(model, path)


def load(
  path: pathlib.Path, network: Any
) -> Callable[[np.ndarray], np.ndarray]:
  """The file, run by onnxruntime, as a function of images [B, H, W, C]."""
  import onnxruntime  # only whoever exports needs it

  del network
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3  # errors
  session = onnxruntime.InferenceSession(
    str(path), options, providers=['CPUExecutionProvider']
  )

  def translate(images):
    inputs = {'images': np.ascontiguousarray(images.transpose(0, 3, 1, 2))}
    return np.asarray(session.run(None, inputs)[0]).transpose(0, 2, 3, 1)

  return translate


def make_model(
  network: Any, params: dict, metadata: Mapping[str, str]
) -> onnx.ModelProto:
  """The graph of a generator with its parameters."""
  graph = onnx_graph.Graph()
  if isinstance(network, generators.UNet):
    output = _add_unet(graph, network, params)
  else:
    output = _add_resnet(graph, network, params)
  return onnx_graph.finish(
    graph,
    output,
    inputs=network.inputs,
    channels=network.channels,
    metadata=dict(metadata),
  )


def _add_unet(graph, network, params):
  """`generators.UNet`, from 'images'."""
  halving = dict(stride=2, padding=1)
  widths = [network.features * min(2**i, 8) for i in range(network.levels)]

  def norm(features, name, width):
    if network.norm == 'folded':
      return features
    known = params.get(name)
    return onnx_graph.instance_norm(graph, features, known, width)

  skips, features = [], 'images'
  for level, width in enumerate(widths):
    innermost = level == network.levels - 1
    layer = params[f'down_{level}']
    features = onnx_graph.conv(graph, features, layer, **halving)
    if network.norm_innermost if innermost else level > 0:
      features = norm(features, f'down_norm_{level}', width)
    skips.append(onnx_graph.leaky_relu(graph, features, network.skip_leak))
    if not innermost:
      features = onnx_graph.leaky_relu(graph, features, network.leak)

  features = skips.pop()
  for level, width in reversed(list(enumerate(widths[:-1]))):
    layer = params[f'up_{level}']
    features = onnx_graph.conv_transpose(graph, features, layer, **halving)
    features = norm(features, f'up_norm_{level}', width)
    features = graph.add('Relu', features)
    features = graph.add('Concat', skips.pop(), features, axis=1)
  out = onnx_graph.conv_transpose(graph, features, params['out'], **halving)
  return graph.add('Tanh', out)


def _add_resnet(graph, network, params):
  """`generators.ResNet`, from 'images'."""
  halving = dict(stride=2, padding=1)

  def norm(features, width):
    if network.norm == 'folded':
      return features
    return onnx_graph.instance_norm(graph, features, None, width)

  def padded_conv(features, layer):
    margin = layer['kernel'].shape[0] // 2
    features = onnx_graph.reflect(graph, features, margin)
    return onnx_graph.conv(graph, features, layer, stride=1, padding=0)

  shown = 'images'
  if network.inputs > network.channels:
    shown = onnx_graph.take_channels(graph, 'images', 0, network.channels)
  features = norm(padded_conv(shown, params['in']), network.features)
  features = graph.add('Relu', features)
  for i in (1, 2):
    layer = params[f'down_{i}']
    features = onnx_graph.conv(graph, features, layer, **halving)
    features = graph.add('Relu', norm(features, network.features * 2**i))
  for i in range(network.blocks):
    block, width = params[f'block_{i}'], network.features * 4
    inner = norm(padded_conv(features, block['conv_0']), width)
    inner = padded_conv(graph.add('Relu', inner), block['conv_1'])
    features = graph.add('Add', features, norm(inner, width))
  for i in (1, 0):
    layer = params[f'up_{i}']
    features = onnx_graph.conv_transpose(graph, features, layer, **halving)
    features = graph.add('Relu', norm(features, network.features * 2**i))
  features = padded_conv(features, params['out'])
  if network.start is not None:
    start = params['contrast_map']
    if network.reach:
      reach = graph.constant(network.reach)
      bounded = graph.add('Tanh', graph.add('Div', features, reach))
      features = graph.add('Mul', bounded, reach)
    begun = onnx_contrast.add_start(graph, 'images', network.start, start)
    features = graph.add('Add', begun, features)
  return graph.add('Tanh', features)
