"""How close a translated picture is to the truth, inside the head.

Pictures are [H, W], scaled to [0, 1] unless a `data_range` is given. A mask is
boolean, of the picture's shape; None takes the whole picture. Only `ssim` and
`edge_agreement` need pictures: the others take arrays of any shape. Every
measure raises ValueError where the mask is empty or shapes differ.
"""

import math
from typing import Any

import numpy as np
from scipy import ndimage
from skimage import metrics

_SSIM_WINDOW = 11  # pixels: 3.5 deviations of 1.5 pixels on either side


def psnr(
  truth: np.ndarray,
  image: np.ndarray,
  mask: np.ndarray | None = None,
  *,
  data_range: float = 1.0,
) -> float:
  """Peak signal-to-noise ratio inside `mask`, dB; infinite if identical."""
  truth, image = _select(truth, image, mask)
  if np.array_equal(truth, image):
    return math.inf
  return float(
    metrics.peak_signal_noise_ratio(truth, image, data_range=data_range)
  )


def ssim(
  truth: np.ndarray,
  image: np.ndarray,
  mask: np.ndarray | None = None,
  *,
  data_range: float = 1.0,
) -> float:
  """Structural similarity averaged inside `mask`, -1 to 1.

  Wang et al. 2004, with their Gaussian window of 1.5 pixels. ValueError for a
  picture narrower than that window, 11 pixels.
  """
  _select(truth, image, mask)
  if min(truth.shape) < _SSIM_WINDOW:
    raise ValueError(
      f'SSIM needs {_SSIM_WINDOW} pixels along every axis: {truth.shape}'
    )
  found: Any = metrics.structural_similarity(
    truth,
    image,
    data_range=data_range,
    gaussian_weights=True,
    sigma=1.5,
    use_sample_covariance=False,
    full=True,
  )
  _, similarity = found
  return float(similarity[... if mask is None else mask].mean())


def mae(
  truth: np.ndarray,
  image: np.ndarray,
  mask: np.ndarray | None = None,
  *,
  data_range: float = 1.0,
) -> float:
  """Mean absolute error inside `mask`, as a fraction of `data_range`."""
  truth, image = _select(truth, image, mask)
  return float(np.abs(truth - image).mean(dtype=np.float64) / data_range)


def nmi(
  truth: np.ndarray,
  image: np.ndarray,
  mask: np.ndarray | None = None,
  *,
  data_range: float = 1.0,
) -> float:
  """Normalized mutual information inside `mask`, 1 (unrelated) to 2.

  Studholme et al. 1999, (H(truth) + H(image)) / H(truth, image), with 100 bins
  over each picture's own values. 1 where either picture is constant: it tells
  nothing of the other. Biased upwards by few pixels: compare equal masks.

  Args:
    truth: [...].
    image: [...].
    mask: [...] bool.
    data_range: for the same call as the others; the bins do not depend on it.
  """
  del data_range
  truth, image = _select(truth, image, mask)
  if not np.ptp(truth) or not np.ptp(image):
    return 1.0  # both constant: 0 / 0
  return float(metrics.normalized_mutual_information(truth, image, bins=100))


def edge_agreement(
  first: np.ndarray,
  second: np.ndarray,
  mask: np.ndarray | None = None,
  *,
  sigma: float = 1.0,
) -> float:
  """Whether edges coincide, whichever side of them is brighter: -1 to 1.

  Needs no truth: an input against its translation. Normalized gradient fields,
  Haber and Modersitzki 2006: `n = g / sqrt(|g|^2 + e^2)`, g the gradient and e
  its mean magnitude in the mask, so that n ignores the scale of intensities
  and damps noise. Of the squared cosine that is their measure, `<n1, n2>^2`,
  the part to be expected of unrelated directions, `|n1|^2 |n2|^2 / 2`, is taken
  away:

    `sum(2 <n1, n2>^2 - |n1|^2 |n2|^2) / sqrt(sum |n1|^4 sum |n2|^4)`

  the correlation of the two fields with every angle doubled. 1 for a picture
  against itself, scaled or inverted; about 0 for unrelated pictures, with a
  deviation of about sqrt(correlated pixels / pixels in the mask); -1 where
  edges cross at right angles; 0 for a constant picture. Leave the border out:
  there every gradient runs along it, which counts as agreement.

  Args:
    first: [H, W].
    second: [H, W].
    mask: [H, W] bool.
    sigma: of the Gaussian whose derivative is the gradient, pixels.
  """
  _select(first, second, mask)
  where = ... if mask is None else mask
  a, b = (_normalize_gradients(x, where, sigma) for x in (first, second))
  squares_a, squares_b = (a**2).sum(0), (b**2).sum(0)
  aligned = 2 * (a * b).sum(0) ** 2 - squares_a * squares_b
  scale = math.sqrt((squares_a**2).sum() * (squares_b**2).sum())
  return float(aligned.sum() / scale) if scale else 0.0


def histogram_distance(
  values: np.ndarray, reference_quantiles: np.ndarray
) -> float:
  """1-Wasserstein distance of a sample to a distribution, in its units.

  How far intensities have to move, on average, for `values` to be distributed
  as the reference: the integral over p of
  `|quantile(values, p) - reference(p)|`.

  Args:
    values: [...], not empty (else ValueError).
    reference_quantiles: [Q] for probabilities from 0 to 1 in equal steps; in
      between they are interpolated, and taken at 1000 probabilities.
  """
  if not np.size(values):
    raise ValueError('no values')
  steps = np.linspace(0, 1, len(reference_quantiles))
  middles = (np.arange(1000) + 0.5) / 1000
  reference = np.interp(middles, steps, reference_quantiles)
  from scipy import stats  # half a second, and training has no use for it

  return float(stats.wasserstein_distance(np.ravel(values), reference))


def summarize(values, *, seed: int = 0, resamples: int = 2000) -> dict:
  """Mean and its 95 % bootstrap percentile interval over patients.

  Args:
    values: one number a patient. Infinite ones (the PSNR of identical pictures)
      have no mean: they are left out, and counted. ValueError for NaN.
    seed: of the resampling.
    resamples: of the patients, with replacement.

  Returns:
    mean, std (of the sample: n - 1), n, low, high and left_out, for JSON: None
    for what so few patients do not tell (all but the mean for one).
  """
  values = np.asarray(values, np.float64)
  if np.isnan(values).any():
    raise ValueError('NaN among the values')
  finite = values[np.isfinite(values)]
  count = len(finite)
  std = low = high = None
  if count > 1:
    std = float(finite.std(ddof=1))
    from scipy import stats

    interval = stats.bootstrap(
      (finite,),
      np.mean,
      n_resamples=resamples,
      method='percentile',
      rng=np.random.default_rng(seed),
    ).confidence_interval
    low, high = float(interval.low), float(interval.high)
  return {
    'mean': float(finite.mean()) if count else None,
    'std': std,
    'n': count,
    'low': low,
    'high': high,
    'left_out': len(values) - count,
  }


def _select(first, second, mask):
  if first.shape != second.shape:
    raise ValueError(f'shapes differ: {first.shape} and {second.shape}')
  if mask is None:
    return first, second
  if mask.shape != first.shape:
    raise ValueError(f'shapes differ: {first.shape} and mask {mask.shape}')
  if not mask.any():
    raise ValueError('the mask is empty')
  return first[mask], second[mask]


def _normalize_gradients(picture, where, sigma):
  picture = np.asarray(picture, np.float64)
  orders: Any = ((1, 0), (0, 1))
  gradient = np.stack(
    [
      ndimage.gaussian_filter(picture, sigma, order=order)[where]
      for order in orders
    ]
  )
  edge = np.linalg.norm(gradient, axis=0).mean()
  # a constant picture has rounding errors for a gradient
  if edge <= 1e-12 * np.abs(picture).max():
    return np.zeros_like(gradient)
  return gradient / np.sqrt((gradient**2).sum(0) + edge**2)
