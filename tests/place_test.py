"""Runs whose contrast maps go by place: levels go wherever slices go."""

import pathlib

import chex
import jax
import numpy as np
import pytest

from configs import smoke
from configs import whole_heads
from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import evaluate
from cyclegan_jax import restore
from cyclegan_jax import train
from cyclegan_jax.inference import translation
from cyclegan_jax.mri import levels
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.runtime import kept


def make_config(folder):
  """Whole slices of small volumes: three steps, a checkpoint after each."""
  config = smoke.get_config()
  with config.unlocked():
    config.generator = whole_heads.get_config().generator
  config.generator.update(features=4, blocks=1, contrast_look='place')
  config.max_steps, config.batch_size = 3, 4
  config.checkpoint_every_steps = config.sample_every_steps = 1
  config.evaluate_every_steps = 2
  config.ema_decay = 0.5
  config.data.spacing = 1.0
  config.data.cache = str(folder / 'cache')
  for name in ('train_a', 'train_b', 'test_a', 'test_b'):
    config.data[name] = str(folder / name)
  return config


@pytest.fixture(scope='module')
def folder(tmp_path_factory, make_head, save_nifti):
  """Volumes of 26 slices each: two people, another one, a pair."""
  root = tmp_path_factory.mktemp('volumes')
  people = dict(train_a='ab', train_b='c', test_a='d', test_b='d')
  for name, those in people.items():
    (root / name).mkdir()
    for who in those:
      voxels = make_head((24, 28, 26), seed=ord(who))
      turned = name.endswith('b')
      voxels = np.where(voxels > 0, 1500 - voxels, 0) if turned else voxels
      save_nifti(root / name / f'sub-{who}.nii.gz', voxels)
  return root


@pytest.fixture(scope='module')
def trained(folder, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('run')
  config = make_config(folder)
  checks.check_training(config, str(workdir))
  return workdir, jax.device_get(train.train(config, workdir))


@pytest.fixture(scope='module')
def translators(trained):
  return restore.load_translators(kept.find(str(trained[0]), 'newest'))


def test_maps_are_fitted_at_every_level(trained):
  values = trained[1].gen_ab.params['contrast_map']['values']
  chex.assert_shape(values, (12, 8, 6))
  between = np.abs(np.diff(values, axis=-1)).max(axis=(0, 1))
  assert (between > 1e-3).all()


def test_slices_are_translated_at_their_level(translators, make_head):
  """Each by itself, where it was told, is what the whole volume holds."""
  translator = translators['ab']
  assert translator.channels == 2
  voxels = make_head((24, 28, 26), seed=9)
  volume = volume_lib.Volume(voxels, np.eye(4))
  seen = []

  def generate(images):
    seen.append(images)
    return translator.generate(images)

  translation.translate_volume(
    generate,
    volume,
    batch_size=4,
    settings=translator.settings[0],
    multiple=translator.multiple,
    channels=translator.channels,
  )
  told = np.concatenate(seen)[..., 1]
  assert (np.ptp(told, axis=(1, 2)) == 0).all()
  areas = (voxels > 0).mean(axis=(0, 1))
  wanted = 2 * levels.measure_levels(areas)[areas > 0] - 1
  found = np.unique(told[:, 0, 0])
  np.testing.assert_allclose(found, np.unique(wanted), atol=0.06)
  low, high = seen[0].copy(), seen[0].copy()
  low[..., 1], high[..., 1] = -1, 1
  differ = translator.generate(low) - translator.generate(high)
  assert np.abs(differ).max() > 0.01


def test_its_scans_are_scored(trained, translators):
  workdir, _ = trained
  evaluate.evaluate(str(workdir))
  text = (pathlib.Path(workdir) / 'evaluation.json').read_text()
  assert 'sub-d' in text


def test_a_picture_is_translated_as_in_the_middle(translators):
  images = np.zeros((1, 32, 32), np.float32)
  alone = translation.generate_batch(
    translators['ba'].generate, images, 1, channels=2
  )
  assert alone.shape == (1, 32, 32)


def test_pictures_cannot_be_trained_on(slice_folders, tmp_path):
  config = make_config(slice_folders)
  config.data.cache = str(tmp_path)
  with pytest.raises(errors.UserError, match='pictures.*contrast_look=depth'):
    train.train(config, tmp_path / 'run')


def test_the_simulated_heads_are_pictures_too(tmp_path):
  config = whole_heads.get_config()
  config.batch_size = 4  # of the tests' four devices
  with pytest.raises(errors.UserError, match='simulated heads.*look=depth'):
    train.train(config, tmp_path / 'run')


def test_levels_are_told_along_one_plane(folder, tmp_path):
  config = make_config(folder)
  config.data.planes = ('axial', 'coronal')
  with pytest.raises(
    errors.UserError, match='data.planes.*one, or take.*depth'
  ):
    checks.check_training(config, str(tmp_path))
