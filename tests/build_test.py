"""The border: what a config becomes."""

import shutil

import numpy as np
from PIL import Image
import pytest

from configs import default
from configs import smoke
from cyclegan_jax import build
from cyclegan_jax import errors


@pytest.fixture
def config(slice_folders, tmp_path):
  config = smoke.get_config()
  config.data.cache = str(tmp_path / 'cache')
  for name in ('train_a', 'train_b', 'test_a', 'test_b'):
    config.data[name] = str(slice_folders / name)
  return config


def test_pairs_are_the_names_both_test_folders_have(config, tmp_path):
  shutil.copytree(config.data.test_b, tmp_path / 'b')
  kept, other = sorted((tmp_path / 'b').iterdir())
  other.rename(tmp_path / 'b' / 'someone_z000.png')
  config.data.test_b = str(tmp_path / 'b')
  data = build.open_data(config)
  for domain in 'ab':
    assert [each.name for each in data.pairs[domain].slices] == [kept.stem]
  assert not data.simulated


def test_without_shared_names_there_are_no_pairs(config, tmp_path, capsys):
  shutil.copytree(config.data.test_b, tmp_path / 'b')
  for path in (tmp_path / 'b').iterdir():
    path.rename(path.with_stem(f'x{path.stem}'))
  config.data.test_b = str(tmp_path / 'b')
  assert build.open_data(config).pairs is None
  assert 'share no name' in capsys.readouterr().out


def test_16_bit_pairs_beside_8_bit_training_slices(config, tmp_path):
  """Nothing in the training folder says what is white in 16 bits."""
  shutil.copytree(config.data.test_a, tmp_path / 'a')
  for path in (tmp_path / 'a').iterdir():
    pixels = np.asarray(Image.open(path)).astype(np.uint16) * 16
    Image.fromarray(pixels).save(path)
  config.data.test_a = str(tmp_path / 'a')
  image = build.open_data(config).pairs['a'].load(0)
  assert -1 <= image.min() < 0.5 < image.max() <= 1


@pytest.fixture
def volumes(tmp_path, make_head, save_nifti):
  """T1 and T2 of two people to train on, and of one to test on."""
  config = smoke.get_config()
  config.data.cache = str(tmp_path / 'cache')
  config.data.spacing = 1.0
  for number, person in enumerate(('anna', 'bert', 'carl')):
    head = make_head((20, 24, 10), seed=number)
    save_nifti(tmp_path / person / 'T1.nii.gz', head)
    save_nifti(tmp_path / person / 'T2.nii.gz', (head > 0) * (1200 - head))
  for domain, name in (('a', 'T1'), ('b', 'T2')):
    config.data[f'train_{domain}'] = str(tmp_path / '[ab]*' / f'{name}.nii.gz')
    config.data[f'test_{domain}'] = str(tmp_path / 'carl' / f'{name}.nii.gz')
  return config


def test_volumes_are_trained_on_and_paired_by_patient(volumes, capsys):
  data = build.open_data(volumes)
  assert data.train['a'].patients == {'anna', 'bert'}
  told = capsys.readouterr().out
  assert 'patients anna, bert in both training domains' in told
  names = [[s.name for s in data.pairs[d].slices] for d in 'ab']
  assert names[0] == names[1] and 6 <= len(names[0]) < 10  # ends are blank
  # Cropped about the same middle, whatever each contrast shows of the head.
  a, b = (np.stack([data.pairs[d].load(row) for row in range(6)]) for d in 'ab')
  inside = (a > -0.9) & (b > -0.9)
  assert np.corrcoef(a[inside], b[inside])[0, 1] < -0.9


def test_pairs_on_different_grids_are_left_out_and_told(
  volumes, tmp_path, make_head, save_nifti, capsys
):
  save_nifti(tmp_path / 'carl' / 'T2.nii.gz', make_head((20, 24, 5)))
  assert build.open_data(volumes).pairs is None
  assert 'scans of T1 lie on different grids' in capsys.readouterr().out


def test_nobody_is_both_trained_on_and_scored(volumes, tmp_path):
  volumes.data.test_a = str(tmp_path / '*' / 'T1.nii.gz')
  with pytest.raises(
    errors.UserError,
    match='patients anna, bert in both data.train_a and data.test_a',
  ):
    build.open_data(volumes)


def test_zoom_makes_slices_finer_before_they_are_cropped(volumes):
  volumes.data.zoom = 1.5
  data = build.open_data(volumes)
  assert data.train['a'].size == 48 and data.pairs['a'].size == 32
  trained, paired = (
    np.mean([np.mean(d.load(r) > -0.9) for r in range(3, 7)])
    for d in (data.train['a'], data.pairs['a'])
  )
  assert trained == pytest.approx(paired, rel=0.15)


def test_what_intensities_mean_is_kept_for_each_domain(volumes):
  volumes.data.intensity_b = 'window'
  volumes.data.window_b = (0.0, 1500.0)
  known = build.open_data(volumes).intensities()
  assert known['a'].scaling.kind == 'percentile'
  assert known['b'].scaling.intensities == (0.0, 1500.0)
  assert len(known['a'].quantiles) == 101


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
