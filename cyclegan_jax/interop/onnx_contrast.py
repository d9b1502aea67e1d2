"""A contrast map in operators of ONNX: `contrast.layer`, line by line."""

import numpy as np

from cyclegan_jax.contrast import fit
from cyclegan_jax.contrast import layer
from cyclegan_jax.interop import onnx_graph


def add_start(
  graph: onnx_graph.Graph, images: str, start: layer.ContrastLayer, params: dict
) -> str:
  """`layer.ContrastLayer`: images [B, C, H, W] to the map's, before tanh."""
  one, two = graph.constant(1.0), graph.constant(2.0)
  unit = graph.add('Div', graph.add('Add', images, one), two)
  level = None
  if start.look == 'place':
    unit, level = (
      onnx_graph.take_channels(graph, unit, channel, channel + 1)
      for channel in (0, 1)
    )
  mapped = _map_contrast(graph, unit, level, params['values'], start)
  mapped = graph.add('Sub', graph.add('Mul', mapped, two), one)
  return graph.add('Atanh', _clip(graph, mapped, -layer.INSIDE, layer.INSIDE))


def _map_contrast(graph, images, level, values, start):
  heads = _find_heads(graph, images)
  by_depth = start.look != 'surroundings'
  other = images
  if by_depth:
    other = graph.add('Cast', heads, to=onnx_graph.onnx.TensorProto.FLOAT)
  window = layer.make_window(start.deviation)
  radius = len(window) // 2
  for shape, pads in (
    ((1, 1, -1, 1), (radius, 0, radius, 0)),
    ((1, 1, 1, -1), (0, radius, 0, radius)),
  ):
    kernel = graph.constant(window.reshape(shape))
    other = graph.add('Conv', other, kernel, pads=pads)
  if by_depth:
    above = graph.add('Sub', other, graph.constant(fit.OUTLINE))
    other = graph.add('Div', above, graph.constant(1 - fit.OUTLINE))
  read = (images, other) if level is None else (images, other, level)
  # (place in the table, share) of the knots around
  around, *rest = [
    _share(graph, each, knots)
    for each, knots in zip(read, values.shape, strict=True)
  ]
  for more, knots in zip(rest, values.shape[1:], strict=True):
    count = graph.constant(knots, np.int64)
    around = [
      (graph.add('Add', start, column), graph.add('Mul', share, other))
      for row, share in around
      for start in [graph.add('Mul', row, count)]
      for column, other in more
    ]
  table = graph.constant(values.reshape(-1))
  parts = [
    graph.add('Mul', graph.add('Gather', table, place), share)
    for place, share in around
  ]
  mapped = graph.add('Sum', *parts)
  return graph.add('Where', heads, mapped, images)


def _share(graph, images, knots):
  """The knots beside a value, and the share of each: (place, share) twice."""
  position = graph.add(
    'Mul', _clip(graph, images, 0.0, 1.0), graph.constant(float(knots - 1))
  )
  lower = graph.add('Floor', position)
  upper_share = graph.add('Sub', position, lower)
  lower_share = graph.add('Sub', graph.constant(1.0), upper_share)
  place = graph.add('Cast', lower, to=onnx_graph.onnx.TensorProto.INT64)
  upper = graph.add(
    'Min',
    graph.add('Add', place, graph.constant(1, np.int64)),
    graph.constant(knots - 1, np.int64),
  )
  return (place, lower_share), (upper, upper_share)


def _find_heads(graph, images):
  level, noise = _measure_air(graph, images)
  blurred = graph.add(
    'AveragePool',
    images,
    kernel_shape=(3, 3),
    pads=(1,) * 4,
    count_include_pad=1,
  )
  grain = graph.add('Mul', noise, graph.constant(1.5))
  above = graph.add('Max', grain, graph.constant(layer.TISSUE))
  sharp = graph.add('Add', level, graph.constant(layer.SHARP))
  tissue = graph.add(
    'And',
    graph.add('Greater', blurred, graph.add('Add', level, above)),
    graph.add('Greater', images, graph.add('Add', sharp, noise)),
  )
  tissue = graph.add('Cast', tissue, to=onnx_graph.onnx.TensorProto.INT32)
  sides = [_between(graph, tissue, axis) for axis in (2, 3)]
  return graph.add('And', *sides)


def _between(graph, tissue, axis):
  """Whether there is tissue at or before a pixel, and behind it too."""
  until = graph.add('CumSum', tissue, graph.constant(axis, np.int64))
  total = graph.add('ReduceSum', tissue, graph.integers(axis), keepdims=1)
  before = graph.add('Sub', until, tissue)
  return graph.add(
    'And',
    graph.add('Greater', until, graph.constant(0, np.int32)),
    graph.add('Less', before, total),
  )


def _measure_air(graph, images):
  """Mean and deviation in the darkest corner of each image, [B, 1, 1, 1]."""
  height = graph.add(
    'Gather', graph.add('Shape', images), graph.integers(2), axis=0
  )
  side = graph.add(
    'Max',
    graph.add('Div', height, graph.integers(16)),
    graph.integers(2),
  )
  means, deviations = [], []
  # In the order of `find_heads`: the first of equals is taken.
  for column in (False, True):
    for row in (False, True):
      corner = _cut(graph, _cut(graph, images, side, 2, row), side, 3, column)
      axes = graph.integers(1, 2, 3)
      mean = graph.add('ReduceMean', corner, axes, keepdims=1)
      centred = graph.add('Sub', corner, mean)
      square = graph.add('Mul', centred, centred)
      variance = graph.add('ReduceMean', square, axes, keepdims=1)
      means.append(mean)
      deviations.append(graph.add('Sqrt', variance))
  means = graph.add('Concat', *means, axis=1)
  deviations = graph.add('Concat', *deviations, axis=1)
  darkest = graph.add('ArgMin', means, axis=1, keepdims=1)
  return tuple(
    graph.add('GatherElements', each, darkest, axis=1)
    for each in (means, deviations)
  )


def _cut(graph, images, side, axis, last):
  """The first or the last `side` lines along an axis."""
  most = graph.integers(2**31 - 1)
  start = graph.add('Neg', side) if last else graph.integers(0)
  end = most if last else side
  return graph.add('Slice', images, start, end, graph.integers(axis))


def _clip(graph, images, low, high):
  return graph.add('Clip', images, graph.constant(low), graph.constant(high))
