"""Places in heads: closed forms, and what whole histograms do not see."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from cyclegan_jax.mri import metrics
from cyclegan_jax.mri import places

_SHELLS = (0, 0.8, 0.2, 0.5, 0.7)


def measure_distance(images, wanted):
  return places.measure_distance(
    *(places.histograms(places.find_heads(x), x) for x in (images, wanted))
  )


def test_black_inside_a_head_is_no_air():
  """As filled by SciPy; a notch that opens to the outside stays air."""
  rows, columns = np.ogrid[-20:20, -20:20]
  image = np.where(np.hypot(rows, columns) < 17, 0.5, 0.0)
  whole = image > 0
  image[15:25, 18:22] = 0  # ventricles
  filled = ndimage.binary_fill_holes(image > 0)
  np.testing.assert_array_equal(filled, whole)
  image[:9, 19:21] = 0  # the fissure between the hemispheres
  notch = whole & (image == 0) & (rows < -10)
  for made in (
    places.find_heads(image[None]),
    places.find_heads(jnp.asarray(image[None, ..., None]))[..., 0],
  ):
    np.testing.assert_array_equal(made[0], whole & ~notch)


def test_means_are_of_all_pixels_and_no_others(draw_people):
  images = np.asarray(_SHELLS)[draw_people(0)]
  heads = places.find_heads(images)
  counts, (means,) = places.average(heads, [(0, images)])
  assert counts.sum() == heads.sum()
  assert counts @ means / counts.sum() == pytest.approx(images[heads].mean())


def test_a_place_is_a_fraction_of_the_head_on_either_side():
  """A square head, wherever it lies: its left half is folded on the right."""
  images = np.zeros((1, 40, 60))
  images[0, 5:29, 30:54] = np.abs(np.arange(24) - 11.5) + 1
  counts, (means,) = places.average(images > 0, [(0, images)])
  seen = counts.reshape(-1, 24, 24)[0]
  np.testing.assert_array_equal(seen, np.tile([2] * 12 + [0] * 12, (24, 1)))
  np.testing.assert_allclose(
    means.reshape(-1, 24, 24)[0, :, :12], np.tile(12.5 - np.arange(12), (24, 1))
  )


def test_the_distance_of_a_shift_is_the_shift():
  heads = np.full((4, 32, 32), 0.4)
  assert measure_distance(heads, heads + 0.25) == pytest.approx(0.25)
  assert measure_distance(heads, heads) == 0


def test_it_sees_what_histograms_do_not(draw_people):
  target = np.asarray(_SHELLS)[draw_people(2)]
  people = draw_people(0)
  right = np.asarray(_SHELLS)[people]
  wrong = np.zeros_like(right)  # the same values, inside out
  order = np.argsort(people[people > 0])
  wrong[people > 0] = right[people > 0][order][::-1][np.argsort(order)]
  values = np.quantile(target[target > 0], np.linspace(0, 1, 101))
  whole = [metrics.histogram_distance(x[x > 0], values) for x in (right, wrong)]
  local = [measure_distance(x, target) for x in (right, wrong)]
  assert whole[0] == pytest.approx(whole[1])
  assert local[1] > 4 * local[0]


def test_folders_without_a_common_place_have_no_weights():
  assert not places.weigh(np.array([3, 0]), np.array([0, 2])).any()
  np.testing.assert_allclose(
    places.weigh(np.array([3, 1]), np.array([1, 5])), [0.5, 0.5]
  )
