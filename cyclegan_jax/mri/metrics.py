"""How close a translated slice is to the truth, inside the head.

Everything here takes pictures [H, W] scaled to [0, 1].
"""

import numpy as np
from skimage import metrics


def head_mask(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Where either picture is above 2 % of the range: [H, W] bool."""
  return (first > 0.02) | (second > 0.02)


def psnr(truth: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
  """Peak signal-to-noise ratio inside `mask`, dB, for a range of 1."""
  return float(
    metrics.peak_signal_noise_ratio(truth[mask], image[mask], data_range=1.0)
  )


def ssim(truth: np.ndarray, image: np.ndarray, mask: np.ndarray) -> float:
  """Structural similarity averaged inside `mask`, for a range of 1.

  Wang et al. 2004, with their Gaussian window of 1.5 pixels.
  """
  _, similarity = metrics.structural_similarity(
    truth,
    image,
    data_range=1.0,
    gaussian_weights=True,
    sigma=1.5,
    use_sample_covariance=False,
    full=True,
  )
  return float(similarity[mask].mean())
