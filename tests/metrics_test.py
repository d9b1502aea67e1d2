import numpy as np
import pytest
from scipy import ndimage

from cyclegan_jax.mri import metrics


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


def test_the_head_is_where_either_picture_has_signal():
  first, second = np.zeros((2, 3, 3))
  first[0, 0], second[2, 2], second[1, 1] = 0.5, 0.021, 0.019
  expected = np.zeros((3, 3), bool)
  expected[0, 0] = expected[2, 2] = True
  np.testing.assert_array_equal(metrics.head_mask(first, second), expected)
