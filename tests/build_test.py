"""The border: what a config becomes."""

import numpy as np
import pytest

from configs import default
from configs import smoke
from cyclegan_jax import build
from cyclegan_jax import compilation
from cyclegan_jax import errors
from cyclegan_jax import inputs
from cyclegan_jax.runtime import cache_folders


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


def test_fields_of_a_domain_are_those_of_its_scans(volumes):
  volumes.data.intensity_b = 'window'
  volumes.data.window_b = (0.0, 1500.0)
  known = inputs.open_data(volumes).intensities()
  assert known['a'].scaling.kind == 'percentile'
  assert known['b'].scaling.intensities == (0.0, 1500.0)


def test_zoom_makes_slices_finer_before_they_are_cropped(volumes):
  volumes.data.zoom = 1.5
  data = inputs.open_data(volumes)
  assert data.train['a'].size == 48 and data.pairs['a'].size == 32
  trained, paired = (
    np.mean([np.mean(d.load(r) > -0.9) for r in range(3, 7)])
    for d in (data.train['a'], data.pairs['a'])
  )
  assert trained == pytest.approx(paired, rel=0.15)


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


def test_a_deterministic_run_keeps_its_own_programs(monkeypatch, tmp_path):
  kept = []
  monkeypatch.setattr(cache_folders, 'keep_compiled', kept.append)
  config = default.get_config()
  config.compile_cache = 'elsewhere'
  compilation.keep(config, tmp_path)
  config.deterministic = True
  compilation.keep(config, tmp_path)
  compilation.keep(config)  # of another process, or of a check
  assert kept == ['elsewhere', str(tmp_path / 'compiled'), 'elsewhere']
