"""A look at the data before a training, and what it would refuse."""

import json
import re

import nibabel as nib
import numpy as np
import pytest

from configs import smoke
from cyclegan_jax import errors
from cyclegan_jax import inputs
from cyclegan_jax import survey
from cyclegan_jax.data import inventory


@pytest.fixture
def config(trained):
  """Of the run that was trained, so that its step is compiled already."""

  stored = json.loads((trained / 'config.json').read_text(encoding='utf-8'))[
    'config'
  ]
  config = smoke.get_config()
  config.batch_size = stored['batch_size']
  for name, value in stored['data'].items():
    config.data[name] = tuple(value) if isinstance(value, list) else value
  return config


def test_what_is_there_is_told(config, tmp_path, capsys):
  survey.survey(config, str(tmp_path / 'run'))
  lines = capsys.readouterr().out.splitlines()
  text = '\n'.join(lines)
  assert '  scans        2 volumes of 2 patients (by file name)' in text
  assert '  spacing, mm  1 x 1 x 1' in text
  assert '  voxels       22 x 26 x 12' in text
  assert '  orientation  RAS' in text
  assert re.search(r'intensities  percentile: air 0, bright \d', text)
  assert '1 held-out pairs' in text
  assert re.search(r'time: [\d.e-]+ s a step on 4 x cpu, about', text)
  assert re.search(r'memory: [\d.]+ GiB of a device', text)
  assert 'sizes: whole heads fit, nothing has to change' in text
  assert lines[-1] == 'training would start'
  page = (tmp_path / 'run' / 'check.html').read_text(encoding='utf-8')
  assert page.count('<figure>') == 4 and '<img src' not in page
  assert 'data:image/webp' in page


def test_what_would_be_refused_is_named_and_the_rest_told(
  config, scan_folder, tmp_path, capsys
):
  mixed = tmp_path / 'mixed'
  for name in ('anna', 'bert'):
    (mixed / name).mkdir(parents=True)
    (mixed / name / 'T1.nii.gz').write_bytes(
      (scan_folder / name / 'T1.nii.gz').read_bytes()
    )
  (mixed / 'zoe_T1.nii.gz').write_bytes(b'broken')
  (mixed / 'loop').symlink_to(mixed)
  config.data.train_a = str(mixed)
  with pytest.raises(
    errors.UserError, match=r'would refuse: .*zoe_T1\.nii\.gz'
  ):
    survey.survey(config, str(tmp_path / 'run'))
  text = capsys.readouterr().out
  assert '3 volumes of 3 patients (by file name), 1 refused' in text
  assert re.search(r'slices       \d+ to use', text)
  assert re.search(r'refused      .*zoe_T1\.nii\.gz', text)
  assert re.search(r'left out     .*loop', text)
  assert 'zoe_T1' in (tmp_path / 'run' / 'check.html').read_text(
    encoding='utf-8'
  )


def test_files_in_both_domains_are_a_likely_mistake(
  config, scan_folder, tmp_path, capsys
):
  both = tmp_path / 'both'
  both.mkdir()
  for name in ('anna', 'bert'):
    (both / f'{name}.nii.gz').write_bytes(
      (scan_folder / name / 'T1.nii.gz').read_bytes()
    )
  config.data.train_b = str(both)
  with pytest.raises(errors.UserError, match='2 files are in both domains'):
    survey.survey(config, str(tmp_path / 'run'))
  assert 'a likely mistake' in (tmp_path / 'run' / 'check.html').read_text(
    encoding='utf-8'
  )


@pytest.mark.parametrize(
  'lengths,native,size,expected',
  [
    # 1.03 x 180 mm in 256 pixels of 0.9 mm: 230 mm are seen.
    ([170, 180], [0.9, 0.9], 256, {'the image size': (0.9, 256)}),
    (
      [180],
      [0.9],
      128,
      {
        'the image size': (1.45, 128),  # 185.4 / 128 = 1.448
        'the detail of the scans': (0.9, 256),
      },
    ),
  ],
)
def test_sizes_that_show_whole_heads(lengths, native, size, expected):
  found = inventory.suggest(
    lengths, native, image_size=size, sizes=(64, 128, 256, 512)
  )
  assert found == expected


def test_the_length_of_a_head_is_measured(tmp_path, config):
  """A ball of 30 mm across in voxels of 1 x 1.5 x 2 mm."""
  grid = np.meshgrid(
    *(
      step * (np.arange(n) - n / 2) for n, step in ((48, 1), (40, 1.5), (24, 2))
    ),
    indexing='ij',
  )
  ball = (sum(axis**2 for axis in grid) < 15**2) * np.float32(100)
  image = nib.Nifti1Image(ball, np.diag([1, 1.5, 2, 1]))
  nib.save(image, tmp_path / 'ball_T1.nii.gz')

  settings = inputs.slice_settings(config, 'a')
  found = inventory.look(
    'data.train_a',
    str(tmp_path / 'ball_T1.nii.gz'),
    settings,
    cache=tmp_path / 'cache',
    min_foreground=0.02,
    slice_range=(0.0, 1.0),
    report=lambda done, total: None,
  )
  assert found.entries[0].spacing == (1, 1.5, 2)
  (length,) = inventory.measure_heads(found, settings)
  assert length == pytest.approx(30, abs=2)


def test_networks_that_do_not_fit_those_to_start_from_are_told(
  config, trained, tmp_path, capsys
):
  config.start_from = str(trained)
  config.generator.features += 1
  with pytest.raises(errors.UserError, match='refuse: .*has other generators'):
    survey.survey(config, str(tmp_path / 'run'))
  assert 'would start' not in capsys.readouterr().out
