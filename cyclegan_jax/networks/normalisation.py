"""Instance normalisation, with the closed form of its gradient."""

from flax import linen as nn
import jax
from jax import lax
import jax.numpy as jnp


class InstanceNorm(nn.Module):
  """`normalise`, and if `affine` a learned scale and offset per channel."""

  affine: bool

  @nn.compact
  def __call__(self, features):
    features = normalise(features)
    if not self.affine:
      return features
    shape = features.shape[-1:]
    scale = self.param('scale', _near_one, shape)
    bias = self.param('bias', nn.initializers.zeros, shape)
    scaled = features * scale.reshape(1, 1, 1, -1) + bias.reshape(1, 1, 1, -1)
    return scaled.astype(features.dtype)


# Both references use 1e-5; it is also the floor that keeps a blank image from
# being amplified.
EPSILON = 1e-5


@jax.custom_vjp
def normalise(features):
  """Instance normalisation: every channel of every image by itself.

  Ulyanov et al. 2016, "Instance Normalization: The Missing Ingredient for Fast
  Stylization". The two-pass variance does not cancel. The gradient is the
  closed form in the result, so that nothing else is kept for it.

  Args:
    features: [B, H, W, C].

  Returns:
    The same shape and type, of mean 0 and variance 1 (less where it is below
    1e-5); statistics are float32 at least.
  """
  return _normalise_forward(features)[0]


def _normalise_forward(features):
  wide = features.astype(jnp.promote_types(features.dtype, jnp.float32))
  centred = wide - _mean(wide)
  variance = _mean(jnp.square(centred))
  inverse = lax.rsqrt(variance + EPSILON)
  result = (centred * inverse).astype(features.dtype)
  return result, (result, inverse)


def _normalise_backward(residuals, cotangent):
  result, inverse = residuals
  wide = cotangent.astype(inverse.dtype)
  parallel = _mean(wide * result)
  mean = _mean(wide)
  gradient = inverse * (wide - mean - result * parallel)
  return (gradient.astype(cotangent.dtype),)


normalise.defvjp(_normalise_forward, _normalise_backward)


def _mean(features):
  return jnp.mean(features, axis=(1, 2), keepdims=True)


def _near_one(key, shape, dtype=jnp.float32):
  return 1 + nn.initializers.normal(0.02)(key, shape, dtype)
