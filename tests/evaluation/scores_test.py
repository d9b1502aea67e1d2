"""What a translation is worth, for cases whose scores are known."""

import math

import numpy as np
import pytest

from cyclegan_jax.evaluation import cases
from cyclegan_jax.evaluation import scores

_SHAPE = (4, 32, 32)
_HEAD = np.zeros(_SHAPE, bool)
_HEAD[:3, 8:24, 8:24] = True  # the last slice shows none
_QUANTILES = {'a': np.linspace(-0.6, 0.6, 101), 'b': np.linspace(-0.2, 1, 101)}


def draw(seed):
  """Tissue from 0.2 to 0.8 inside the head, in air that is 0."""
  values = np.random.default_rng(seed).uniform(0.2, 0.8, _SHAPE)
  return np.where(_HEAD, values, 0)


def make_case(patient='anna', name='x', **images):
  a = draw(0)
  b = np.where(_HEAD, 1 - a, 0)
  stages = {'a': a, 'b': b, 'fake_b': b, 'fake_a': a} | images
  masks = dict.fromkeys(('a', 'b', 'both'), _HEAD)
  return cases.Case(name, patient, stages, masks, spacing=None)


def pick(records, direction, method, region='head'):
  (record,) = (
    record
    for record in records
    if (record['direction'], record['method'], record['region'])
    == (direction, method, region)
  )
  return record


def test_a_constant_error_has_the_scores_of_that_error():
  """Of 0.1 inside the head and 0.5 in the air: -20 log10(0.1) = 20 dB."""
  case = make_case()
  fake = np.where(_HEAD, case.images['b'] + 0.1, 0.5)
  records = scores.score_pair(make_case(fake_b=fake), _QUANTILES)
  inside = pick(records, 'ab', 'translation')
  assert inside['psnr'] == pytest.approx(20)
  assert inside['mae'] == pytest.approx(0.1)
  assert inside['slices'] == 3  # that show a head
  share = _HEAD[0].mean()
  whole = pick(records, 'ab', 'translation', 'whole')
  assert whole['mae'] == pytest.approx(0.1 * share + 0.5 * (1 - share))
  back = pick(records, 'ba', 'translation')  # is the truth itself
  assert back['psnr'] == math.inf and back['mae'] == 0
  assert back['ssim'] == pytest.approx(1)


def test_every_method_is_scored_in_the_head_and_two_everywhere():
  records = scores.score_pair(make_case(patient='bert'), _QUANTILES)
  found = [(r['direction'], r['method'], r['region']) for r in records]
  assert len(set(found)) == len(found) == 2 * (len(scores.METHODS) + 2)
  for direction in ('ab', 'ba'):
    for method in scores.METHODS:
      assert pick(records, direction, method)['patient'] == 'bert'
    for method in ('translation', 'untranslated'):
      assert pick(records, direction, method, 'whole')


def test_references_know_what_they_should():
  """b is 1 - a: a map finds it, and so does inverting if quantiles fit."""
  case = make_case()
  fitting = {
    domain: 2 * np.quantile(case.images[domain][_HEAD], np.linspace(0, 1, 101))
    - 1
    for domain in 'ab'
  }
  records = scores.score_pair(case, fitting)
  for direction in ('ab', 'ba'):
    by_method = {
      method: pick(records, direction, method) for method in scores.METHODS
    }
    assert by_method['oracle']['mae'] < 1 / 255
    assert by_method['inverted']['mae'] < 0.01
    assert by_method['matched']['mae'] > 0.2
    assert by_method['untranslated']['mae'] == pytest.approx(
      np.abs(2 * case.images['a'] - 1)[_HEAD].mean()
    )
  # Their quantiles are those of training, not of the truth.
  moved = {domain: each + 0.2 for domain, each in fitting.items()}
  record = pick(scores.score_pair(case, moved), 'ab', 'inverted')
  assert record['mae'] == pytest.approx(0.1, abs=0.01)


def test_alone_the_round_trip_and_the_result_are_measured():
  a = draw(0)
  images = {'a': a, 'fake_b': draw(1), 'cycled_a': np.where(_HEAD, a + 0.25, 1)}
  masks = {'a': _HEAD, 'both': _HEAD}
  case = cases.Case('x', 'anna', images, masks, spacing=None)
  records = scores.score_alone(case, _QUANTILES)
  assert {record['direction'] for record in records} == {'ab'}
  own = pick(records, 'ab', 'translation')
  assert own['cycle_error'] == pytest.approx(0.25)
  # From 0.2 to 0.8 where 0.4 to 1 is wanted.
  assert own['histogram_distance'] == pytest.approx(0.2, abs=0.01)
  assert own['edge_agreement'] < 0.9  # its outline is the same
  same = pick(records, 'ab', 'untranslated')  # an image with itself
  assert same['cycle_error'] == 0
  assert same['edge_agreement'] == pytest.approx(1, abs=1e-12)


def test_of_the_other_domain_alone_the_other_direction_is_measured():
  images = {'b': draw(0), 'fake_a': draw(1), 'cycled_b': draw(0)}
  case = cases.Case(
    'x', 'anna', images, {'b': _HEAD, 'both': _HEAD}, spacing=None
  )
  records = scores.score_alone(case, _QUANTILES)
  assert {record['direction'] for record in records} == {'ba'}
  own = pick(records, 'ba', 'translation')
  assert own['histogram_distance'] == pytest.approx(0, abs=0.01)


def test_several_scans_of_a_patient_count_as_one():
  """Anna twice at 0.1 and 0.3, bert once at 0.4: the mean is 0.3."""
  records = []
  for patient, name, error in (
    *(('anna', 'x', 0.1), ('anna', 'y', 0.3)),
    ('bert', 'z', 0.4),
  ):
    fake = make_case().images['b'] + error
    case = make_case(patient, name, fake_b=fake)
    records += scores.score_pair(case, _QUANTILES)
  result = scores.summarize(records)
  assert result['ab']['mae']['mean'] == pytest.approx(0.3)
  assert result['ab']['mae']['n'] == 2
  assert result['ab']['whole_image']['mae']['mean'] == pytest.approx(0.3)
  assert set(result['ab']['references']) == {*scores.METHODS} - {'translation'}
  assert result['ba']['mae']['mean'] == 0
  assert len(result['ab']['subjects']) == len(records) / 2


def test_a_direction_without_records_is_left_out():
  records = scores.score_pair(make_case(), _QUANTILES)
  only = [record for record in records if record['direction'] == 'ba']
  assert set(scores.summarize(only)) == {'ba'}


def test_what_hangs_on_unknown_intensities_is_left_out():
  """Of an imported model: no histogram is matched, none is measured."""
  unknown = {'a': (), 'b': ()}
  case = make_case()
  methods = {each['method'] for each in scores.score_pair(case, unknown)}
  assert methods == {'translation', 'untranslated', 'oracle'}
  images = {'cycled_a': case.images['a'], 'cycled_b': case.images['b']}
  found = scores.summarize(scores.score_alone(make_case(**images), unknown))
  assert 'cycle_error' in found['ab']
  assert 'histogram_distance' not in found['ab']
