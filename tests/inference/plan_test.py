"""Where translations go, and where not."""

import pathlib

import pytest

from cyclegan_jax import errors
from cyclegan_jax.inference import plan as plan_lib
from cyclegan_jax.mri.formats import dispatch


def scan(path):
  path = pathlib.Path(path)
  return dispatch.Scan(dispatch.stem_of(path.name), 'anna', (path,), 'picture')


@pytest.mark.parametrize('target', ['in', 'in/x.png', 'in/../in', 'link'])
def test_nothing_synthetic_lies_beside_its_source_under_its_name(
  tmp_path, target
):
  """A picture that is written as another format: x.jpg as x.png."""
  (tmp_path / 'in').mkdir()
  (tmp_path / 'link').symlink_to(tmp_path / 'in')
  source = tmp_path / 'in' / 'x.jpg'
  source.touch()
  with pytest.raises(errors.UserError, match='x.png would lie beside the scan'):
    plan_lib.plan_jobs([scan(source)], str(source), str(tmp_path / target))


def test_a_name_of_ones_own_may_lie_beside_the_source(tmp_path):
  source = tmp_path / 'anna_T1.jpg'
  source.touch()
  target = tmp_path / 'anna_T2.png'
  (job,) = plan_lib.plan_jobs([scan(source)], str(source), str(target))
  assert job.target == target
