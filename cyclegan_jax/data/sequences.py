"""What a scanner makes of simulated tissues: spin echoes, or values as of CT.

A sequence is told by numbers alone: (TR, TE) of a spin echo, ms; (TR, TE, TI)
of one with an inversion before it; or the values of air and of every tissue.
"""

from collections.abc import Sequence

import numpy as np

T1W = (500.0, 14.0)
T2W = (4000.0, 100.0)
_LENGTHS = (2, 3)  # of what an MR scanner is told
_NOISE, _SPREAD = 10.0, 0.03  # of values: in their unit; between people
_FULL = 0.9  # of a pixel: with so much tissue there is no air in it


def is_mr(sequence: Sequence[float]) -> bool:
  """Whether it says what a scanner does, not what tissues come out as."""
  return len(sequence) in _LENGTHS


def spin_echo_signal(rho, t1, t2, *, tr, te, ti=0.0):
  """rho (1 - exp(-tr / t1)) exp(-te / t2); all times in one unit.

  With an inversion `ti` before it |1 - 2 exp(-ti / t1) + exp(-tr / t1)| takes
  the place of the recovery (Hajnal et al. 1992, J Comput Assist Tomogr 16).
  """
  if ti:
    recovery = abs(1 - 2 * np.exp(-ti / t1) + np.exp(-tr / t1))
  else:
    recovery = 1 - np.exp(-tr / t1)
  return rho * recovery * np.exp(-te / t2)


def scan_mr(fractions, tissues, sequence, shading, rng):
  """A magnitude image, uint8 [slices, height, width].

  Grey values are scaled by the scan's own 99.5th percentile within the head.

  Args:
    fractions: of tissues in pixels, [slices, height, width, tissues].
    tissues: rho, T1, T2, [3, tissues].
    sequence: (TR, TE) or (TR, TE, TI), ms.
    shading: of the coil, [slices, height, width].
    rng: of the noise.
  """
  signals = spin_echo_signal(
    *tissues, **dict(zip(('tr', 'te', 'ti'), sequence, strict=False))
  )
  image = fractions @ signals
  image *= np.exp(shading.clip(-0.2, 0.2))
  sigma = signals[:2].mean() / rng.uniform(25, 50)
  noise = rng.normal(0, sigma, (2, *image.shape))
  image = np.hypot(image + noise[0], noise[1])  # magnitude image: Rician
  inside = fractions.sum(-1) > 0.5
  image = image * (230 / np.percentile(image[inside], 99.5))
  return np.rint(image.clip(0, 255)).astype(np.uint8)


def scan_values(fractions, values, rng):
  """An image in the unit of `values`, float32 [slices, height, width].

  Args:
    fractions: as in `scan_mr`.
    values: of air, then of every tissue, such as Hounsfield units.
    rng: of what people differ by, and of the noise.
  """
  air, *own = values
  own = np.array(own) * rng.normal(1, _SPREAD, len(own))
  total = fractions.sum(-1)
  share = (total / _FULL).clip(0, 1)
  image = fractions @ own / total.clip(1e-6) * share + air * (1 - share)
  return (image + rng.normal(0, _NOISE, image.shape)).astype(np.float32)
