"""Which checkpoint is meant, and what is said if there is none."""

import pytest

from cyclegan_jax import errors
from cyclegan_jax.runtime import kept


@pytest.fixture
def workdir(tmp_path):
  for place in ('checkpoints/4', 'checkpoints/8', 'checkpoints/12', 'best/6'):
    (tmp_path / place).mkdir(parents=True)
  return tmp_path


@pytest.mark.parametrize(
  'which,expected',
  [
    ('newest', 'checkpoints/12'),
    ('best', 'best/6'),
    ('8', 'checkpoints/8'),
    ('6', 'best/6'),
  ],
)
def test_a_checkpoint_is_found_by_its_kind_or_step(workdir, which, expected):
  assert kept.find(workdir, which) == workdir / expected


@pytest.mark.parametrize('which', ['7', '-4', '4.0', 'latest', '../best/6'])
def test_steps_that_there_are_not_are_told_with_those_that_there_are(
  workdir, which
):
  with pytest.raises(
    errors.UserError, match=r'steps 4, 8, 12 and 6 \(best\)$'
  ) as raised:
    kept.find(workdir, which)
  assert f'--checkpoint={which}: ' in str(raised.value)


def test_the_newest_of_none_is_none(tmp_path):
  with pytest.raises(errors.UserError, match='4: .* there are: none'):
    kept.find(tmp_path, '4')
