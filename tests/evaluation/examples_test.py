"""Which patients stand for all of them."""

import numpy as np
import pytest

from cyclegan_jax.evaluation import cases
from cyclegan_jax.evaluation import examples
from cyclegan_jax.evaluation import scores

_QUANTILES = dict.fromkeys('ab', np.linspace(-1, 1, 17))


def make_case(name, noise, slices=9):
  """A head whose translations are off by so much noise."""
  rng = np.random.default_rng(0)
  rows, columns = np.mgrid[-1:1:24j, -1:1:24j]
  head = np.tile(np.hypot(rows, columns) < 0.8, (slices, 1, 1))
  head[0] = head[-1] = False
  a = head * rng.uniform(0.3, 1, head.shape)
  wrong = rng.normal(scale=noise, size=head.shape)
  return cases.Case(
    name=name,
    patient=name,
    images={'a': a, 'b': head - a, 'fake_b': head - a + wrong, 'fake_a': a},
    masks=cases.join_masks({'a': head, 'b': head}),
    spacing=(4.0, 2.0, 1.0),
  )


def find(name, noise, count=1):
  case = make_case(name, noise)
  return examples.find(case, scores.score_pair(case, _QUANTILES), count=count)


def test_the_best_the_median_and_the_worst_are_chosen():
  noises = {'anna': 0.3, 'bert': 0.02, 'carl': 0.1, 'dora': 0.2, 'emil': 0.15}
  found = [each for name, x in noises.items() for each in find(name, x)['ab']]
  chosen = examples.choose(found)
  assert [(rank, each.case) for rank, each in chosen] == [
    ('best', 'bert'),
    ('median', 'emil'),
    ('worst', 'anna'),
  ]
  # A standard deviation of 0.1 is 20 dB below a peak of 1.
  carl = next(each for each in found if each.case == 'carl')
  assert carl.score == pytest.approx(20, abs=0.5)
  told = f'{carl.psnr:.1f} dB / {carl.ssim:.2f}'
  label = examples.label('worst', carl)
  assert label == f'worst: {carl.score:.1f} dB\ncarl\nslice 4:\n{told}'


def test_of_two_patients_slices_are_spread_and_nobody_is_the_best():
  found = [
    each for name in ('anna', 'bert') for each in find(name, 0.1, 2)['ab']
  ]
  chosen = examples.choose(found)
  assert [rank for rank, _ in chosen] == [''] * 4
  assert [each.row for _, each in chosen[:2]] == [3, 5]  # of 1 to 7


def test_examples_are_drawn_as_they_are():
  (each,) = find('anna', 0.1)['ab']
  case = make_case('anna', 0.1)
  ((label, given, fake, truth),) = examples.rows([('', each)])
  assert label.startswith('anna') and each.pixel_size == (2.0, 1.0)
  for image, stage in ((given, 'a'), (fake, 'fake_b'), (truth, 'b')):
    expected = case.images[stage][each.row].clip(0, 1)
    np.testing.assert_allclose(image, expected, atol=1 / 255)


@pytest.mark.parametrize('jobs,count', [(1, 4), (2, 2), (3, 1), (50, 1)])
def test_of_few_patients_several_slices_are_taken(jobs, count):
  assert examples.how_many(jobs) == count
