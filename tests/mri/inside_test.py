"""The inside of simulated heads: its level, and whether a skull is around."""

import numpy as np
import pytest
from scipy import ndimage

from cyclegan_jax import errors
from cyclegan_jax.data import phantom
from cyclegan_jax.data import sequences
from cyclegan_jax.mri import inside
from cyclegan_jax.mri import intensity

_SIZE = 96
_PIXEL = phantom.FIELD_OF_VIEW / _SIZE
_BRAIN = 4  # the first tissues: what is left of a stripped head


@pytest.fixture(scope='module')
def anatomy():
  template = phantom.load_template(blur=0.4 * _PIXEL)
  return phantom.simulate_anatomy(
    template, np.random.default_rng(3), [75, 88, 100], image_size=_SIZE
  )


def scan(anatomy, sequence, *, noise=0.03, stripped=False, fat=1.0):
  """Slices in scanner units, about 0 to 1,000, and exact masks."""
  tr, te = sequence
  signals = sequences.spin_echo_signal(*anatomy.tissues, tr=tr, te=te)
  signals[-1] *= fat
  kept = _BRAIN if stripped else len(signals)
  fractions = anatomy.fractions[..., :kept]
  images = fractions @ signals[:kept]
  sigma = noise * signals[:2].mean()
  channels = np.random.default_rng(0).normal(0, sigma, (2, *images.shape))
  images = np.hypot(images + channels[0], channels[1])
  return 1000 * images, fractions.sum(-1) > 0.5


@pytest.mark.parametrize('sequence', [sequences.T1W, sequences.T2W])
@pytest.mark.parametrize('noise', [0.02, 0.05])
def test_whole_heads_are_told_from_brains(anatomy, sequence, noise):
  for stripped in (False, True):
    images, mask = scan(anatomy, sequence, noise=noise, stripped=stripped)
    whole = inside.shows_skull(images / images.max(), mask, (_PIXEL, _PIXEL))
    assert whole != stripped
  assert not inside.shows_skull(images, mask & False, (_PIXEL, _PIXEL))


@pytest.mark.parametrize('sequence', [sequences.T1W, sequences.T2W])
def test_the_level_is_that_of_the_brain_whatever_the_fat(anatomy, sequence):
  """Of half to twice its signal, which moves the 99.5th percentile."""
  tr, te = sequence
  signals = sequences.spin_echo_signal(*anatomy.tissues, tr=tr, te=te)
  levels, bright = [], []
  for fat in (0.5, 1.0, 2.0):
    images, _ = scan(anatomy, sequence, fat=fat)
    levels.append(inside.measure_level(images, (_PIXEL, _PIXEL)))
    bright.append(intensity.fit_scaling(images).bright)
  low, high = sorted(1000 * signals[:2])
  assert all(0.9 * low < level < 1.1 * high for level in levels)
  assert np.ptp(levels) < 0.01 * levels[0]
  if sequence == sequences.T1W:  # in T2w fluid is the brightest
    assert bright[2] > 1.2 * bright[0]
  images, _ = scan(anatomy, sequence, stripped=True)
  stripped = inside.measure_level(images, (_PIXEL, _PIXEL))
  assert stripped == pytest.approx(levels[0], rel=0.08)


def test_the_scaling_puts_the_level_where_it_is_told(anatomy):
  images, mask = scan(anatomy, sequences.T1W)
  level = inside.measure_level(images, (_PIXEL, _PIXEL))
  scaling = intensity.fit_scaling(images, 'inside', level=level)
  assert float(intensity.to_unit(level, scaling)) == pytest.approx(-0.3)
  assert np.all(np.diff(scaling.intensities) > 0)
  assert np.all(np.diff(scaling.units) > 0)
  # Linear below, from air to what is 2.3 times the level.
  half = (level + scaling.background) / 2
  unit = float(intensity.to_unit(half, scaling))
  assert unit == pytest.approx((-0.98 - 0.3) / 2, abs=1e-6)
  back = intensity.from_unit(intensity.to_unit(images, scaling), scaling)
  np.testing.assert_allclose(back, images, atol=0.01)
  # Where nothing is brighter than the inside, knots beyond it lie in order.
  dull = np.where(mask, level, 0.0)
  scaling = intensity.fit_scaling(dull, 'inside', level=level)
  assert np.all(np.diff(scaling.intensities[1:]) > 0)


def test_what_has_no_inside_is_told(anatomy):
  _, mask = scan(anatomy, sequences.T1W)
  core = ndimage.binary_erosion(mask, np.ones((1, 3, 3)), iterations=4)
  with pytest.raises(errors.UserError, match='as dark as the air: take ano'):
    inside.measure_level(900.0 * (mask & ~core), (_PIXEL, _PIXEL))
  with pytest.raises(errors.UserError, match='no head is seen'):
    inside.measure_level(np.eye(96)[None] + 1, (_PIXEL, _PIXEL))
