import numpy as np
import pytest
from scipy import ndimage

from cyclegan_jax.evaluation import metrics


@pytest.fixture(scope='module')
def pair():
  rng = np.random.default_rng(0)
  truth = ndimage.gaussian_filter(rng.random((48, 40)), 2)
  truth = (truth - truth.min()) / np.ptp(truth)
  image = np.clip(truth + rng.normal(0, 0.05, truth.shape), 0, 1)
  mask = np.zeros(truth.shape, bool)
  mask[8:30, 5:33] = True
  return truth, image, mask


def test_psnr_of_a_constant_error():
  """-20 log10(0.1) = 20 dB, inside the mask only."""
  truth = np.full((8, 8), 0.5)
  image = truth + 0.1
  mask = np.zeros((8, 8), bool)
  mask[:4] = True
  image[4:] = 0
  assert metrics.psnr(truth, image, mask) == pytest.approx(20)


def test_ssim_equals_its_definition(pair):
  """Wang et al. 2004, equation 13, window truncated at 3.5 deviations."""
  truth, image, mask = pair

  def blur(x):
    return ndimage.gaussian_filter(x, 1.5, truncate=3.5)

  c1, c2 = 0.01**2, 0.03**2
  mean_t, mean_i = blur(truth), blur(image)
  var_t = blur(truth**2) - mean_t**2
  var_i = blur(image**2) - mean_i**2
  covariance = blur(truth * image) - mean_t * mean_i
  similarity = ((2 * mean_t * mean_i + c1) * (2 * covariance + c2)) / (
    (mean_t**2 + mean_i**2 + c1) * (var_t + var_i + c2)
  )
  assert metrics.ssim(truth, image, mask) == pytest.approx(
    similarity[mask].mean(), abs=1e-6
  )


def test_ssim_of_inverted_intensities_is_negative(pair):
  truth, _, mask = pair
  assert metrics.ssim(truth, truth, mask) == pytest.approx(1)
  assert metrics.ssim(truth, 1 - truth, mask) < 0


def test_errors_are_shares_of_the_range(pair):
  truth, image, mask = pair
  absolute = np.abs(truth - image)
  assert metrics.mae(truth, image, mask) == pytest.approx(absolute[mask].mean())
  assert metrics.mae(truth, image) == pytest.approx(absolute.mean())
  for metric in (metrics.psnr, metrics.ssim, metrics.mae, metrics.nmi):
    scaled = metric(700 * truth, 700 * image, mask, data_range=700)
    assert scaled == pytest.approx(metric(truth, image, mask))


def test_mutual_information_asks_for_no_grey_levels(pair):
  """Studholme et al. 1999: (H(x) + H(y)) / H(x, y), of 100 x 100 bins."""
  truth, image, mask = pair
  joint, _, _ = np.histogram2d(truth[mask], image[mask], bins=100)
  joint /= joint.sum()

  def entropy(p):
    p = p[p > 0]
    return -(p * np.log(p)).sum()

  expected = (entropy(joint.sum(0)) + entropy(joint.sum(1))) / entropy(joint)
  assert metrics.nmi(truth, image, mask) == pytest.approx(expected)
  assert metrics.nmi(truth, 1 - truth, mask) == pytest.approx(2)
  assert metrics.nmi(truth, np.ones_like(truth), mask) == 1


def test_identical_pictures_and_empty_masks(pair):
  truth, image, mask = pair
  assert metrics.psnr(truth, truth, mask) == np.inf
  for metric in (metrics.psnr, metrics.ssim, metrics.mae, metrics.nmi):
    with pytest.raises(ValueError, match='mask is empty'):
      metric(truth, image, np.zeros_like(mask))


def test_edges_agree_whichever_side_is_brighter(pair):
  truth, _, mask = pair
  rng = np.random.default_rng(1)
  other = ndimage.gaussian_filter(rng.random(truth.shape), 2)
  assert metrics.edge_agreement(truth, truth, mask) == pytest.approx(1)
  assert metrics.edge_agreement(truth, 3 - 2 * truth, mask) == pytest.approx(1)
  assert abs(metrics.edge_agreement(truth, other, mask)) < 0.4
  moved = np.roll(truth, 4, axis=1)
  assert metrics.edge_agreement(truth, moved, mask) < 0.5
  y, x = np.mgrid[:40, :40] / 5
  crossing = metrics.edge_agreement(np.sin(y), np.sin(x))
  assert crossing < -0.3
  assert metrics.edge_agreement(truth, np.ones_like(truth), mask) == 0


def test_a_distribution_moved_by_a_tenth_is_a_tenth_away():
  values = np.random.default_rng(0).uniform(0, 1, 20_000)
  quantiles = np.linspace(0, 1, 101)
  assert metrics.histogram_distance(values, quantiles) < 0.01
  moved = metrics.histogram_distance(values + 0.1, quantiles)
  assert moved == pytest.approx(0.1, abs=0.01)
  with pytest.raises(ValueError, match='no values'):
    metrics.histogram_distance([], quantiles)


def test_patients_are_summarized():
  values = [20.0, 22.0, 27.0]
  summary = metrics.summarize(values)
  assert summary['mean'] == pytest.approx(23)
  assert summary['std'] == pytest.approx(np.sqrt((9 + 1 + 16) / 2))
  assert summary['n'] == 3
  assert 20 <= summary['low'] < 23 < summary['high'] <= 27
  assert metrics.summarize(values) == summary
  one = metrics.summarize([20.0])
  assert one['mean'] == 20 and one['std'] is one['low'] is one['high'] is None
  some = metrics.summarize([20.0, np.inf])
  assert some['mean'] == 20 and some['n'] == some['left_out'] == 1


def test_the_interval_of_many_patients_is_that_of_the_mean():
  """1.96 standard errors to both sides."""
  values = np.random.default_rng(0).normal(20, 3, 200)
  summary = metrics.summarize(values)
  error = values.std(ddof=1) / np.sqrt(200)
  assert summary['low'] == pytest.approx(values.mean() - 1.96 * error, abs=0.08)
  assert summary['high'] == pytest.approx(
    values.mean() + 1.96 * error, abs=0.08
  )


def test_what_has_no_value_is_refused(pair):
  truth, image, mask = pair
  with pytest.raises(ValueError, match=r'11 pixels along every axis: \(48, 10'):
    metrics.ssim(truth[:, :10], image[:, :10])
  with pytest.raises(ValueError, match='shapes differ'):
    metrics.mae(truth, image[1:])
  with pytest.raises(ValueError, match='shapes differ'):
    metrics.psnr(truth, image, mask[1:])
  with pytest.raises(ValueError, match='NaN'):
    metrics.summarize([20.0, np.nan])
  nobody = metrics.summarize([np.inf])
  assert nobody['mean'] is None and nobody['n'] == 0


def test_unrelated_edges_agree_by_chance_only():
  """Zero on average, with no bias from how many edges there are."""
  inner = np.zeros((64, 64), bool)
  inner[8:-8, 8:-8] = True  # at its border every gradient runs along it
  agreements = []
  for seed in range(20):
    rng = np.random.default_rng(seed)
    first, second = ndimage.gaussian_filter(rng.random((2, 64, 64)), (0, 2, 2))
    agreements.append(metrics.edge_agreement(first, second, inner))
  spread = np.std(agreements, ddof=1)
  assert spread < 0.1
  assert abs(np.mean(agreements)) < 3 * spread / np.sqrt(20)
