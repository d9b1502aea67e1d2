"""Checkpoints that cannot be read."""

import shutil

import pytest

from configs import smoke
from cyclegan_jax import errors
from cyclegan_jax import evaluate
from cyclegan_jax import train
from cyclegan_jax.runtime import checkpoint


def cut_short(folder):
  """As a full disk or a broken copy leaves files."""
  for path in folder.rglob('*'):
    if path.is_file():
      path.write_bytes(path.read_bytes()[:100])


@pytest.fixture
def workdir(trained, tmp_path):
  """With two checkpoints, of steps 4 and 8."""
  workdir = tmp_path / 'run'
  shutil.copytree(trained, workdir)
  folder = workdir / 'checkpoints'
  shutil.copytree(folder / '4', folder / '8')
  return workdir


@pytest.mark.parametrize('item', ['meta', 'gen_ab'])
def test_a_damaged_checkpoint_is_told_and_an_older_one_named(workdir, item):
  cut_short(workdir / 'checkpoints' / '8' / item)
  message = 'checkpoints/8 is damaged, .* the one of step 4 is used'
  with pytest.raises(errors.UserError, match=message):
    evaluate.evaluate(workdir)
  shutil.rmtree(workdir / 'checkpoints' / '8')
  evaluate.evaluate(workdir)


def test_training_does_not_go_on_from_a_damaged_checkpoint(tmp_path):
  config = smoke.get_config()
  config.batch_size = 4
  config.max_steps = 1
  config.data.cache = str(tmp_path / 'cache')
  train.train(config, tmp_path / 'run')
  config.max_steps = 2
  newest = checkpoint.find(tmp_path / 'run')
  for item in ('disc_a', 'meta'):
    cut_short(newest / item)
    with pytest.raises(errors.UserError, match='1 is damaged.*no older one'):
      train.train(config, tmp_path / 'run')
