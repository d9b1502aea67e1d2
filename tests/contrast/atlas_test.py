"""Places in heads: closed forms, and what whole histograms do not see."""

import numpy as np
import pytest

from cyclegan_jax.contrast import atlas
from cyclegan_jax.evaluation import metrics

_SHELLS = (0, 0.8, 0.2, 0.5, 0.7)


def measure_distance(images, wanted):
  return atlas.measure_distance(
    *(atlas.histograms(x > 0, x) for x in (images, wanted))
  )


def test_means_are_of_all_pixels_and_no_others(draw_people):
  images = np.asarray(_SHELLS)[draw_people(0)]
  heads = images > 0
  counts, (means,) = atlas.average(heads, [(0, images)])
  assert counts.sum() == heads.sum()
  assert counts @ means / counts.sum() == pytest.approx(images[heads].mean())


def test_a_place_is_a_fraction_of_the_head_on_either_side():
  """A square head, wherever it lies: its left half is folded on the right."""
  images = np.zeros((1, 40, 60))
  images[0, 5:29, 30:54] = np.abs(np.arange(24) - 11.5) + 1
  counts, (means,) = atlas.average(images > 0, [(0, images)])
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


def test_folders_without_a_common_place_tell_nothing():
  counts, others = np.array([3, 0]), np.array([0, 2])
  assert not atlas.weigh(counts, others).any()
  ones = np.full((16, 2), 1 / 16)
  distance = atlas.measure_distance((counts, ones), (others, ones))
  assert np.isnan(distance)  # not 0, the best there is
  np.testing.assert_allclose(
    atlas.weigh(np.array([3, 1]), np.array([1, 5])), [0.5, 0.5]
  )


def test_kept_places_are_as_among_all(draw_people):
  images = np.asarray(_SHELLS)[draw_people(0)]
  heads = images > 0
  levels = np.linspace(0, 1, len(images))
  located = atlas.locate(heads, depths=images, levels=levels)
  counts, means = atlas.histograms(heads, images, located=located)
  np.testing.assert_array_equal(counts, located.count())
  kept = counts > 20
  assert 0 < kept.sum() < (counts > 0).sum()
  some = atlas.histograms(heads, images, located=located, kept=kept)
  np.testing.assert_array_equal(some[0], counts[kept])
  np.testing.assert_allclose(some[1], means[:, kept])
