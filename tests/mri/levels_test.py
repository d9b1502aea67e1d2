"""How high in a head slices are: known of an ellipsoid."""

import numpy as np
import pytest

from cyclegan_jax.mri import levels


def slice_ellipsoid(middle, half, count=50):
  """Areas of its slices, and how high they are."""
  heights = (np.arange(count) - middle) / half
  return np.clip(1 - heights**2, 0, None), np.clip((heights + 1) / 2, 0, 1)


@pytest.mark.parametrize(
  ('middle', 'half'),
  [(25, 20), (25, 40), (12, 45), (38, 60)],
  ids=['whole', 'no top', 'little below', 'little above'],
)
def test_an_ellipsoid_is_measured_also_where_its_ends_are_not_seen(
  middle, half
):
  areas, wanted = slice_ellipsoid(middle, half)
  np.testing.assert_allclose(levels.measure_levels(areas), wanted, atol=0.01)
  np.testing.assert_allclose(
    levels.measure_levels(1000 * areas), wanted, atol=0.01
  )


def test_a_neck_below_changes_nothing():
  areas, wanted = slice_ellipsoid(30, 24)
  areas[:22] = np.maximum(areas[:22], 0.6)
  found = levels.measure_levels(areas)
  np.testing.assert_allclose(found[20:], wanted[20:], atol=0.02)
  assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize('middle', [25, 44])  # all of it, and little above
def test_real_outlines_are_no_ellipsoids_to_the_pixel(middle):
  areas, wanted = slice_ellipsoid(middle, 28)
  noisy = areas + np.random.default_rng(0).normal(0, 0.02, len(areas))
  np.testing.assert_allclose(
    levels.measure_levels(noisy.clip(0)), wanted, atol=0.05
  )


@pytest.mark.parametrize(
  'areas',
  [[], [0.3] * 5, [0.0] * 20, [0.4] * 20, np.linspace(1, 2, 20) ** 2],
  ids=['none', 'few', 'blank', 'a cylinder', 'a cone'],
)
def test_where_nothing_can_be_told_all_are_in_the_middle(areas):
  np.testing.assert_array_equal(
    levels.measure_levels(areas), [0.5] * len(areas)
  )
