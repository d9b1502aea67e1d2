"""What a run is told without pairs, by generators whose faults are known."""

import numpy as np
import pytest

from cyclegan_jax.evaluation import monitor

_NAMES = {'a': 'T1w', 'b': 'T2w'}


class Slices:
  """As much of a `slices.SliceSet` as is looked at: heads, bright or dark in
  their middle."""

  def __init__(self, seed, inverted, count=10, size=32):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    self._images = []
    for _ in range(count):
      height, width = rng.uniform(0.6, 0.9, 2)
      radius = np.hypot(rows / height, columns / width)
      inside = 0.9 - 0.7 * radius if inverted else 0.2 + 0.7 * radius
      image = np.where(radius < 1, inside, 0)
      self._images.append((2 * image - 1).astype(np.float32))

  def __len__(self):
    return len(self._images)

  def load(self, row):
    return self._images[row]


@pytest.fixture(scope='module')
def watched():
  train = {'a': Slices(0, inverted=False), 'b': Slices(1, inverted=True)}
  return monitor.choose(train, image_size=32)


def measure(watched, generate):
  """Of a `generate` that maps [B, H, W, 1] in [-1, 1] in both directions."""

  def translate(batch):
    return {'fake_b': generate(batch['a']), 'fake_a': generate(batch['b'])}

  return monitor.measure(watched, translate)


def invert(images):
  return np.where(images > -0.96, 2 * (1.1 - (images + 1) / 2) - 1, -1.0)


def test_a_right_translation_has_no_troubles(watched):
  measures = measure(watched, invert)
  assert monitor.find_troubles(measures, _NAMES) == {}
  assert measures['distance'] < 0.06
  for direction in ('ab', 'ba'):
    assert measures[f'polarity_{direction}'] == pytest.approx(-1, abs=0.02)
    assert measures[f'wanted_polarity_{direction}'] < -0.9
    assert measures[f'variance_{direction}'] > 0.5


def test_a_kept_polarity_is_told(watched):
  measures = measure(watched, lambda images: images)
  assert measures['polarity_ab'] == pytest.approx(1)
  assert measures['distance'] > 3 * measure(watched, invert)['distance']
  troubles = monitor.find_troubles(measures, _NAMES)
  assert set(troubles) == {'polarity_ab', 'polarity_ba'}
  assert "T1w to T2w: the output keeps the input's" in troubles['polarity_ab']


def test_the_right_polarity_of_like_contrasts_is_no_trouble():
  train = {'a': Slices(0, inverted=False), 'b': Slices(1, inverted=False)}
  watched = monitor.choose(train, image_size=32)
  assert monitor.find_troubles(measure(watched, lambda x: x), _NAMES) == {}


def test_outputs_that_do_not_depend_on_inputs_are_told(watched):
  picture = watched['b'].images[0][..., None]
  measures = measure(watched, lambda x: np.tile(picture, (len(x), 1, 1, 1)))
  troubles = monitor.find_troubles(measures, _NAMES)
  assert set(troubles) == {'variance_ab', 'variance_ba'}
  assert 'no longer depend on inputs' in troubles['variance_ab']


def test_of_a_single_slice_no_variety_is_expected():
  train = {'a': Slices(0, inverted=False, count=1), 'b': Slices(1, True)}
  watched = monitor.choose(train, image_size=32)
  assert monitor.find_troubles(measure(watched, invert), _NAMES) == {}


def test_larger_slices_are_looked_at_in_their_middle():
  train = {domain: Slices(0, inverted=False, size=40) for domain in 'ab'}
  chosen = monitor.choose(train, image_size=32)
  np.testing.assert_allclose(
    chosen['a'].images[0], (train['a'].load(0)[4:36, 4:36] + 1) / 2
  )


def test_nothing_is_told_of_places_that_the_domains_do_not_share(watched):
  other = watched['b']
  apart = other._replace(
    means=(np.roll(other.means[0], 1) * 0, other.means[1]),
    histograms=(other.histograms[0] * 0, other.histograms[1]),
  )
  measures = measure({'a': watched['a'], 'b': apart}, invert)
  assert not [name for name in measures if name.startswith('distance')]
  assert monitor.find_troubles(measures, _NAMES) == {}
