"""The PyTorch reference's networks, for tests: its layers, and its names.

Written by us from the description of junyanz/pytorch-CycleGAN-and-pix2pix; the
keys of a `state_dict` are those of that program, letter by letter. Weights are
N(0, 0.02); biases are random, so that those which a normalisation cancels are
seen to make no difference.
"""

import functools
import itertools

import torch
from torch import nn


def resnet(
  channels: int,
  features: int,
  blocks: int,
  norm: str = 'instance',
  dropout: bool = False,
) -> nn.Module:
  """Its ResNet generator; `norm` is 'instance' or 'batch'."""
  return _start(_ResNet(channels, features, blocks, norm, dropout))


def unet(
  channels: int,
  features: int,
  levels: int,
  norm: str = 'instance',
  dropout: bool = False,
) -> nn.Module:
  """Its U-Net generator, of 5 levels at least; 8 are its `unet_256`."""
  return _start(_UNet(channels, features, levels, norm, dropout))


def discriminator(
  channels: int, features: int, layers: int, norm: str = 'instance'
) -> nn.Module:
  """Its PatchGAN; three layers judge 70 x 70 pixels."""
  return _start(_Patches(channels, features, layers, norm))


class _Sequence(nn.Module):
  """Layers one after another, under the name `model`."""

  def __init__(self, layers):
    super().__init__()
    self.model = nn.Sequential(*layers)

  def forward(self, images):
    return self.model(images)


class _ResNet(_Sequence):
  def __init__(self, channels, features, blocks, norm, dropout):
    bias = norm == 'instance'
    layers = [
      nn.ReflectionPad2d(3),
      nn.Conv2d(channels, features, 7, bias=bias),
      _norm(norm, features),
      nn.ReLU(),
    ]
    for width in (features, 2 * features):
      layers += [
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=bias),
        _norm(norm, 2 * width),
        nn.ReLU(),
      ]
    layers += [_Block(4 * features, norm, dropout) for _ in range(blocks)]
    for width in (4 * features, 2 * features):
      layers += [
        nn.ConvTranspose2d(
          width,
          width // 2,
          3,
          stride=2,
          padding=1,
          output_padding=1,
          bias=bias,
        ),
        _norm(norm, width // 2),
        nn.ReLU(),
      ]
    last = nn.Conv2d(features, channels, 7)
    super().__init__([*layers, nn.ReflectionPad2d(3), last, nn.Tanh()])


class _Block(nn.Module):
  def __init__(self, width, norm, dropout):
    super().__init__()

    def layer():
      bias = norm == 'instance'
      convolution = nn.Conv2d(width, width, 3, bias=bias)
      return [nn.ReflectionPad2d(1), convolution, _norm(norm, width)]

    between = [nn.ReLU(), *([nn.Dropout(0.5)] * dropout)]
    self.conv_block = nn.Sequential(*layer(), *between, *layer())

  def forward(self, features):
    return features + self.conv_block(features)


class _UNet(nn.Module):
  def __init__(self, channels, features, levels, norm, dropout):
    super().__init__()
    widths = [features * min(2**i, 8) for i in range(levels)]
    inner = None
    for level in range(levels - 1, 0, -1):
      block = functools.partial(_Level, widths[level - 1], widths[level], norm)
      middle = 4 <= level < levels - 1  # of eight times the width
      inner = block(inner, dropout=dropout and middle)
    self.model = _Outermost(channels, features, norm, inner)

  def forward(self, images):
    return self.model(images)


class _Level(nn.Module):
  """Down, what lies below, and up again; its input is kept beside that."""

  def __init__(self, outer, width, norm, inner, dropout):
    super().__init__()
    bias = norm == 'instance'
    down = nn.Conv2d(outer, width, 4, stride=2, padding=1, bias=bias)
    below = [_norm(norm, width), inner] if inner else []
    up = nn.ConvTranspose2d(
      2 * width if inner else width, outer, 4, stride=2, padding=1, bias=bias
    )
    self.model = nn.Sequential(
      *(nn.LeakyReLU(0.2), down, *below, nn.ReLU(), up, _norm(norm, outer)),
      *([nn.Dropout(0.5)] * dropout),
    )

  def forward(self, features):
    # There the leaky ReLU works in place, so that the skip has passed it too;
    # the ReLU that the skip comes to makes the same of both.
    return torch.cat([features, self.model(features)], 1)


class _Outermost(_Sequence):
  def __init__(self, channels, features, norm, inner):
    bias = norm == 'instance'
    super().__init__(
      [
        nn.Conv2d(channels, features, 4, stride=2, padding=1, bias=bias),
        inner,
        nn.ReLU(),
        nn.ConvTranspose2d(2 * features, channels, 4, stride=2, padding=1),
        nn.Tanh(),
      ]
    )


class _Patches(_Sequence):
  def __init__(self, channels, features, layers, norm):
    widths = [features * min(2**i, 8) for i in range(layers + 1)]
    bias = norm == 'instance'
    made = [nn.Conv2d(channels, features, 4, stride=2, padding=1)]
    made.append(nn.LeakyReLU(0.2))
    for number, (inputs, width) in enumerate(itertools.pairwise(widths), 1):
      stride = 2 if number < layers else 1
      made += [
        nn.Conv2d(inputs, width, 4, stride=stride, padding=1, bias=bias),
        _norm(norm, width),
        nn.LeakyReLU(0.2),
      ]
    super().__init__([*made, nn.Conv2d(widths[-1], 1, 4, padding=1)])


def _norm(norm, width):
  if norm == 'batch':
    return nn.BatchNorm2d(width)
  return nn.InstanceNorm2d(width)


@torch.no_grad()
def _start(network):
  for name, parameter in network.named_parameters():
    parameter.normal_(0.0, 0.02)
    if name.endswith('weight') and parameter.ndim == 1:  # of batch norm
      parameter.add_(1.0)
  return network
