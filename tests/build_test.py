"""The border: what a config becomes."""

import shutil

import numpy as np
from PIL import Image
import pytest

from configs import default
from configs import smoke
from cyclegan_jax import build
from cyclegan_jax import errors
from cyclegan_jax.mri import slices


@pytest.fixture
def config(slice_folders):
  config = smoke.get_config()
  for name in ('train_a', 'train_b', 'test_a', 'test_b'):
    config.data[name] = str(slice_folders / name)
  return config


def test_pairs_are_the_names_both_test_folders_have(config, tmp_path):
  shutil.copytree(config.data.test_b, tmp_path / 'b')
  kept, other = sorted((tmp_path / 'b').iterdir())
  other.rename(tmp_path / 'b' / 'someone_z000.png')
  config.data.test_b = str(tmp_path / 'b')
  data = build.open_data(config)
  assert data.pairs['a'].names == data.pairs['b'].names == (kept.name,)
  assert not data.simulated


def test_without_shared_names_there_are_no_pairs(config, tmp_path, capsys):
  shutil.copytree(config.data.test_b, tmp_path / 'b')
  for path in (tmp_path / 'b').iterdir():
    path.rename(path.with_stem(f'x{path.stem}'))
  config.data.test_b = str(tmp_path / 'b')
  assert build.open_data(config).pairs is None
  assert 'share no file name' in capsys.readouterr().out


def test_16_bit_pairs_beside_8_bit_training_slices(config, tmp_path):
  """Nothing in the training folder says what is white in 16 bits."""
  shutil.copytree(config.data.test_a, tmp_path / 'a')
  for path in (tmp_path / 'a').iterdir():
    pixels = np.asarray(Image.open(path)).astype(np.uint16) * 16
    Image.fromarray(pixels).save(path)
  config.data.test_a = str(tmp_path / 'a')
  folder = build.open_data(config).pairs['a']
  image = slices.load_slice(folder, folder.names[0], size=32)
  assert folder.white > 255 and -1 <= image.min() < image.max() <= 1


@pytest.mark.parametrize('size,levels', [(256, 8), (512, 8), (128, 7), (96, 5)])
def test_levels_0_is_as_deep_as_the_image_allows(size, levels):
  config = default.get_config()
  config.image_size = size
  assert build.networks(config)['generator'].levels == levels


def test_a_size_that_allows_no_unet_is_refused():
  config = default.get_config()
  config.image_size = 250
  with pytest.raises(errors.UserError, match='250 x 250 allows no U-Net'):
    build.networks(config)
