import numpy as np
import pytest

from cyclegan_jax import errors
from cyclegan_jax.mri import intensity

_INVERTIBLE = ('percentile', 'zscore', 'minmax')


def head(scale=1.0, offset=0.0, dtype=np.float64):
  rng = np.random.default_rng(0)
  tissue = rng.normal(600, 120, 4000).clip(300)
  air = np.abs(rng.normal(0, 10, 6000))
  return (scale * np.concatenate([air, tissue, [3000.0]]) + offset).astype(
    dtype
  )


@pytest.mark.parametrize('kind', _INVERTIBLE)
@pytest.mark.parametrize('scale,offset', [(1, 0), (0.01, 0), (1, -1024)])
def test_nothing_is_lost_on_the_way_there_and_back(kind, scale, offset):
  values = head(scale, offset)
  scaling = intensity.fit_scaling(values, kind)
  unit = intensity.to_unit(values, scaling)
  assert unit.dtype == np.float32 and np.abs(unit).max() <= 1
  back = intensity.from_unit(unit, scaling)
  np.testing.assert_allclose(back, values, atol=1e-5 * np.ptp(values))


@pytest.mark.parametrize('dtype', [np.uint16, np.int16])
def test_whole_numbers_come_back_exactly(dtype):
  values = head(dtype=dtype)
  scaling = intensity.fit_scaling(values, 'percentile')
  back = intensity.from_unit(intensity.to_unit(values, scaling), scaling)
  np.testing.assert_array_equal(back.round().astype(dtype), values)


def test_percentile_spans_air_to_the_brightest_tissue():
  values = head()
  scaling = intensity.fit_scaling(values, 'percentile')
  tissue = values[values > 200]
  bright = np.percentile(tissue, 99.5)
  assert scaling.bright == pytest.approx(bright)
  np.testing.assert_allclose(
    intensity.to_unit([values.min(), bright, 3000], scaling),
    [-1, 0.95, 1],
    atol=1e-6,
  )


def test_zscore_spans_three_deviations_of_the_tissue():
  values = head()
  scaling = intensity.fit_scaling(values, 'zscore')
  air, brightest = np.percentile(values, (0.5, 99.5))
  tissue = values[values > air + 0.1 * (brightest - air)]
  unit = intensity.to_unit([tissue.mean()], scaling)
  # halfway between -0.98 and 0.95
  np.testing.assert_allclose(unit, -0.015, atol=1e-6)


def test_a_window_is_the_same_for_every_volume_and_clips():
  scalings = [
    intensity.fit_scaling(head(scale), 'window', window=(-100.0, 700.0))
    for scale in (1, 2)
  ]
  unit = intensity.to_unit([-500, -100, 300, 700, 2000], scalings[0])
  np.testing.assert_allclose(unit, [-1, -1, 0, 1, 1], atol=1e-6)
  assert scalings[0].intensities == scalings[1].intensities


@pytest.mark.parametrize('kind', intensity.KINDS)
def test_a_gain_of_the_scanner_does_not_change_what_the_network_sees(kind):
  one, four = (
    intensity.to_unit(
      head(gain),
      intensity.fit_scaling(
        head(gain), kind, window=(0, 900.0 * gain), level=300.0 * gain
      ),
    )
    for gain in (1, 4)
  )
  np.testing.assert_allclose(one, four, atol=1e-5)


def test_an_even_volume_is_refused():
  with pytest.raises(errors.UserError, match='every voxel is 0'):
    intensity.fit_scaling(np.zeros((4, 4, 4)))


def test_few_bright_voxels_in_a_sea_of_one_value_are_scaled():
  values = np.zeros(10_000)
  values[:3] = 50
  scaling = intensity.fit_scaling(values)
  unit = intensity.to_unit(values, scaling)
  assert unit[0] > 0.9 and unit[-1] < -0.9
  np.testing.assert_allclose(intensity.from_unit(unit, scaling), values)


def test_the_typical_scaling_is_the_median_of_each_knot():
  fitted = [intensity.fit_scaling(head(gain)) for gain in (1, 2, 10)]
  typical = intensity.average(fitted)
  assert typical.intensities == pytest.approx(fitted[1].intensities)
  assert typical.background == pytest.approx(fitted[1].background)
