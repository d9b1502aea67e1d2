"""The losses of a CycleGAN: pure functions, means over everything.

Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks", section 3 and, for the identity loss, section 5.2. The
caller applies the weights.
"""

import jax.numpy as jnp
import optax

from cyclegan_jax import array_types

KINDS = ('bce', 'lsgan')


def adversarial_loss(
  scores: array_types.Scores, *, real: bool, kind: str
) -> array_types.Scalar:
  """How far a discriminator's scores are from the verdict `real`.

  Args:
    scores: logits [B, rows, cols, 1].
    real: the verdict wanted: real (1) or fake (0).
    kind: 'bce', binary cross entropy on logits (Goodfellow et al. 2014), or
      'lsgan', the squared distance from 1 or 0 (Mao et al. 2017, equation 2
      with a = 0, b = c = 1; without its factor of one half, as both CycleGAN
      references have it).

  Raises:
    ValueError: for another kind.
  """
  verdicts = jnp.full_like(scores, float(real))
  if kind == 'bce':
    return jnp.mean(optax.losses.sigmoid_binary_cross_entropy(scores, verdicts))
  if kind == 'lsgan':
    return jnp.mean(optax.losses.squared_error(scores, verdicts))
  raise ValueError(f'loss kind {kind!r}: one of {", ".join(KINDS)}')


def cycle_loss(
  images: array_types.Images, restored: array_types.Images
) -> array_types.Scalar:
  """L1 between images and their round trip, both [B, H, W, C] (equation 2)."""
  return jnp.mean(jnp.abs(images - restored))


def identity_loss(
  images: array_types.Images, mapped: array_types.Images
) -> array_types.Scalar:
  """L1 between images already in a generator's target domain and its output.

  Both [B, H, W, C]; section 5.2 of the paper, after Taigman et al. 2017.
  """
  return jnp.mean(jnp.abs(images - mapped))
