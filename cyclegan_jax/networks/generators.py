"""The generators: a U-Net and a ResNet.

Both are fully convolutional, take and return NHWC and start from N(0, 0.02)
kernels and zero biases, as both reference implementations do.
"""

from collections.abc import Callable
import functools
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp

from cyclegan_jax import array_types
from cyclegan_jax.networks import convolution
from cyclegan_jax.networks import dropout as dropout_lib
from cyclegan_jax.networks import normalisation
from cyclegan_jax.networks import padding

NORMS = ('instance', 'folded')


class UNet(nn.Module):
  """Encoder and decoder with skip connections at every scale.

  Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial
  Networks", appendix 6.1. The defaults are the PyTorch reference's network less
  its biases in front of a normalisation, which cancels them; `leak=0.3,
  skip_leak=0.3, affine=True, norm_innermost=True` is the TensorFlow tutorial's.

  Attributes:
    channels: of the images, in and out.
    features: width of the first level; it doubles up to eight times that.
    levels: halvings; sides must divide by 2^levels.
    dropout: rate in the first three levels of the decoder, if keys are given.
    leak: slope of the encoder's leaky ReLU.
    skip_leak: slope for the negative half of what the skips carry.
    affine: whether normalisations learn scale and offset; the layers without
      a normalisation then have no bias, as in the tutorial.
    norm_innermost: whether the innermost level is normalised. Where its map is
      1 x 1 that erases it: its weights would never learn.
    norm: as in `ResNet`.
    dtype: likewise.
  """

  channels: int = 1
  features: int = 64
  levels: int = 8
  dropout: float = 0.0
  leak: float = 0.2
  skip_leak: float = 0.0
  affine: bool = False
  norm_innermost: bool = False
  norm: str = 'instance'
  dtype: str | None = None

  @property
  def halvings(self):
    return self.levels

  @property
  def inputs(self) -> int:
    """Channels that it takes."""
    return self.channels

  @nn.compact
  def __call__(
    self, images: array_types.Images, keys: array_types.Keys | None = None
  ) -> array_types.Images:
    """Translates images [B, H, W, channels] in [-1, 1] to the same shape.

    Args:
      images: as said.
      keys: of the images, [B], for dropout; None: there is none, as in use.

    Raises:
      ValueError: if a side does not divide by 2^levels.
    """
    check_sides(images.shape[1:3], self.levels)
    widths = [self.features * min(2**i, 8) for i in range(self.levels)]
    layer: dict[str, Any] = dict(kernel_size=4, stride=2, padding=1)
    folded = self.norm == 'folded'
    norm = _choose_norm(self.norm, affine=self.affine)

    skips = []
    features = images.astype(self.dtype or images.dtype)
    for level, width in enumerate(widths):
      innermost = level == self.levels - 1
      normalised = self.norm_innermost if innermost else level > 0
      features = convolution.Conv(
        width,
        use_bias=folded or (not normalised and not self.affine),
        name=f'down_{level}',
        **layer,
      )(features)
      if normalised:
        features = norm(name=f'down_norm_{level}')(features)
      skips.append(nn.leaky_relu(features, self.skip_leak))
      features = nn.leaky_relu(features, self.leak)

    features = skips.pop()
    for level, width in reversed(list(enumerate(widths[:-1]))):
      features = convolution.ConvTranspose(
        width, use_bias=folded, name=f'up_{level}', **layer
      )(features)
      features = norm(name=f'up_norm_{level}')(features)
      if keys is not None and self.dropout and self.levels - 2 - level < 3:
        features = dropout_lib.dropout(
          features,
          jax.vmap(jax.random.fold_in, (0, None))(keys, level),
          rate=self.dropout,
        )
      features = jnp.concatenate([skips.pop(), nn.relu(features)], axis=-1)
    out = convolution.ConvTranspose(self.channels, name='out', **layer)
    return jnp.tanh(out(features).astype(images.dtype))


class ResNet(nn.Module):
  """Two halvings, residual blocks, two doublings.

  Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer and
  Super-Resolution", with the sizes of Zhu et al. 2017 (CycleGAN), appendix 7.2,
  less the biases that a normalisation cancels.

  Attributes:
    channels: of the images, in and out.
    features: width at full resolution; the blocks have four times that.
    blocks: residual blocks: 9 from 256 pixels on, 6 below.
    dropout: rate between the two layers of each block, if keys are given.
    norm: 'instance', or 'folded': nothing is normalised and every layer has a
      bias, as where a batch normalisation has been multiplied into its layer.
      Such a network translates; it is not meant to be trained.
    start: a module from images [B, H, W, channels] in [-1, 1] to what the
      network begins as, before `tanh`: it learns what to add to it, and its
      last kernel starts at 0. None: it begins from nothing.
    reach: how far what it learns may move the result from `start`, before
      `tanh`; it nears that smoothly. 0: as far as it likes.
    dtype: in which convolutions are computed; None: that of the images, as
      parameters, statistics of normalisations and results are in any case.
  """

  channels: int = 1
  features: int = 64
  blocks: int = 9
  dropout: float = 0.0
  norm: str = 'instance'
  start: nn.Module | None = None
  reach: float = 0.0
  dtype: str | None = None

  halvings = 2
  preserve_adopted_names = True  # of `start`, which checkpoints know it by

  @property
  def inputs(self) -> int:
    """Channels that it takes."""
    return self.start.inputs if self.start is not None else self.channels

  @nn.compact
  def __call__(
    self,
    images: array_types.Inputs,
    keys: array_types.Keys | None = None,
    places: Any = None,
  ) -> array_types.Images:
    """Translates images [B, H, W, channels] in [-1, 1] to the same shape.

    Args:
      images: as said; with `inputs` channels, of which `start` sees all.
      keys: of the images, [B], for dropout; None: there is none, as in use.
      places: of the pixels, for `start`, where images are crops; [B, H, W, 1].

    Raises:
      ValueError: if a side does not divide by 4.
    """
    check_sides(images.shape[1:3], self.halvings)
    folded = self.norm == 'folded'
    norm = _choose_norm(self.norm)
    halving: dict[str, Any] = dict(
      kernel_size=3, stride=2, padding=1, use_bias=folded
    )

    def wide(width, inputs, **kwargs):  # kernel 7 at full resolution
      padded: Any = padding.reflect(inputs, 3)
      return convolution.Conv(width, kernel_size=7, **kwargs)(padded)

    shown = images[..., : self.channels]
    features = shown.astype(self.dtype or images.dtype)
    features = wide(self.features, features, use_bias=folded, name='in')
    features = nn.relu(norm(name='in_norm')(features))
    for i in (1, 2):
      width = self.features * 2**i
      features = convolution.Conv(width, name=f'down_{i}', **halving)(features)
      features = nn.relu(norm(name=f'down_norm_{i}')(features))
    for i in range(self.blocks):
      block = _ResidualBlock(self.norm, self.dropout, name=f'block_{i}')
      own = None
      if keys is not None and self.dropout:
        own = jax.vmap(jax.random.fold_in, (0, None))(keys, i)
      features = features + block(features, own)
    for i in (1, 0):
      width = self.features * 2**i
      features = convolution.ConvTranspose(width, name=f'up_{i}', **halving)(
        features
      )
      features = nn.relu(norm(name=f'up_norm_{i}')(features))
    if self.start is None:
      features = wide(self.channels, features, name='out')
      return jnp.tanh(features.astype(images.dtype))
    zeros = nn.initializers.zeros
    own_places = () if places is None else (places,)
    features = wide(self.channels, features, name='out', kernel_init=zeros)
    added = features.astype(images.dtype)
    if self.reach:
      added = self.reach * jnp.tanh(added / self.reach)
    return jnp.tanh(self.start(images, *own_places) + added)


class _ResidualBlock(nn.Module):
  """What a residual block adds to its input [B, H, W, F]."""

  norm: str
  dropout: float

  @nn.compact
  def __call__(self, features, keys):
    layer = functools.partial(
      convolution.Conv,
      features.shape[-1],
      kernel_size=3,
      use_bias=self.norm == 'folded',
    )
    norm = _choose_norm(self.norm)
    features = layer(name='conv_0')(padding.reflect(features, 1))
    features = nn.relu(norm(name='norm_0')(features))
    if keys is not None:
      features = dropout_lib.dropout(features, keys, rate=self.dropout)
    features = layer(name='conv_1')(padding.reflect(features, 1))
    return norm(name='norm_1')(features)


def _choose_norm(norm: str, *, affine: bool = False) -> Callable[..., Any]:
  """What makes a layer's normalisation of its `name`."""
  if norm == 'instance':
    return functools.partial(normalisation.InstanceNorm, affine=affine)
  if norm == 'folded':
    return lambda *, name: lambda features: features
  raise ValueError(f'norm {norm!r} is none of {", ".join(NORMS)}')


def check_sides(sides, halvings: int):
  """Refuses images that cannot be halved so many times.

  Args:
    sides: (height, width) in pixels.
    halvings: how often the network halves them.

  Raises:
    ValueError: naming the size, the multiple and the nearest sizes that fit.
  """
  multiple = 2**halvings
  if all(side % multiple == 0 for side in sides):
    return
  lower = [side // multiple * multiple for side in sides]
  upper = [-(-side // multiple) * multiple for side in sides]
  fitting = [size for size in (lower, upper) if min(size) > 0]
  if len(set(sides)) == 1:
    nearest = ' or '.join(str(size[0]) for size in fitting)
  else:
    nearest = ' or '.join(' x '.join(map(str, size)) for size in fitting)
  raise ValueError(
    f'{" x ".join(map(str, sides))} does not divide by 2^{halvings}; '
    f'nearest {nearest}'
  )
