"""The discriminator: fully convolutional, it judges patches."""

import functools

from flax import linen as nn

from cyclegan_jax import array_types
from cyclegan_jax.networks import convolution
from cyclegan_jax.networks import normalisation


class PatchDiscriminator(nn.Module):
  """Judges overlapping patches, 70 x 70 pixels with three layers.

  Isola et al. 2017, appendix 6.1.2.

  Attributes:
    features: width of the first layer; it doubles up to eight times that.
    layers: strided layers before the two of stride 1.
    leak: slope of the leaky ReLU (0.3 in the TensorFlow tutorial).
    affine: whether normalisations learn scale and offset.
    dtype: in which convolutions are computed; None: that of the images.
  """

  features: int = 64
  layers: int = 3
  leak: float = 0.2
  affine: bool = False
  dtype: str | None = None

  @nn.compact
  def __call__(self, images: array_types.Images) -> array_types.Scores:
    """Scores images [B, H, W, C]: logits [B, rows, cols, 1], high = real."""
    layer = functools.partial(convolution.Conv, kernel_size=4, padding=1)
    features = layer(
      self.features, stride=2, use_bias=not self.affine, name='conv_0'
    )(images.astype(self.dtype or images.dtype))
    features = nn.leaky_relu(features, self.leak)
    for i in range(1, self.layers + 1):
      width = self.features * min(2**i, 8)
      stride = 2 if i < self.layers else 1
      features = layer(width, stride=stride, use_bias=False, name=f'conv_{i}')(
        features
      )
      features = normalisation.InstanceNorm(
        name=f'norm_{i}', affine=self.affine
      )(features)
      features = nn.leaky_relu(features, self.leak)
    return layer(1, name='out')(features).astype(images.dtype)
