"""Networks of three channels: pictures keep colour, scans are repeated."""

import json

import nibabel as nib
import numpy as np
from PIL import Image
import pytest

from configs import smoke
from cyclegan_jax import errors
from cyclegan_jax import evaluate
from cyclegan_jax import rules
from cyclegan_jax import train
from cyclegan_jax import translate
from cyclegan_jax.data import slices
from cyclegan_jax.mri import channels
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import scans
from cyclegan_jax.mri.formats import picture


def test_gray_is_repeated_and_comes_back(make_head):
  stack = make_head((3, 8, 8))
  spread = channels.spread(stack, 3)
  assert spread.shape == (3, 8, 8, 3)
  np.testing.assert_allclose(channels.to_gray(spread), stack, rtol=1e-6)
  assert channels.to_gray(channels.spread(stack, 1)).shape == stack.shape
  assert channels.spread(spread, 3) is spread


def test_luminance_is_that_of_pillow():
  pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
  expected = np.asarray(Image.fromarray(pixels).convert('L'), float)
  found = channels.to_gray(pixels[None].astype(np.float32))[0]
  np.testing.assert_allclose(found, expected, atol=1)


@pytest.fixture(scope='module')
def coloured(tmp_path_factory):
  """Colour pictures to train on and in pairs, and one gray one among them."""
  root = tmp_path_factory.mktemp('coloured')
  rng = np.random.default_rng(0)
  names = [('train_a', 'anna'), ('train_b', 'bert')]
  for name, person in [*names, ('test_a', 'carl'), ('test_b', 'carl')]:
    (root / name).mkdir()
    for i in range(4):
      coarse = Image.fromarray(rng.integers(30, 255, (4, 4, 3), np.uint8))
      image = coarse.resize((32, 24), Image.Resampling.BICUBIC)
      if i == 3:
        image = image.convert('L')
      image.save(root / name / f'{person}_z{i:03d}.png')
  return root


def test_colour_is_read_and_kept_in_the_cache(coloured, tmp_path):
  first = coloured / 'train_a' / 'anna_z000.png'
  read = picture.read(first, channels=3)
  np.testing.assert_array_equal(read.voxels[0], np.asarray(Image.open(first)))
  assert picture.read(
    coloured / 'train_a' / 'anna_z003.png', channels=3
  ).voxels.shape == (1, 24, 32)
  source = str(coloured / 'train_a')
  found = scans.find_scans(source)
  opened, gray = (
    slices.open_slices(
      source,
      found,
      framing.SliceSettings(size=32),
      cache=tmp_path,
      channels=count,
    )
    for count in (3, 1)
  )
  for row in range(4):
    image = opened.load(row)
    assert image.shape == (32, 32, 3) and (np.ptp(image, 2).max() == 0) == (
      row == 3
    )
    np.testing.assert_allclose(
      channels.to_gray(image[None]), gray.load(row)[None, ..., 0], atol=0.01
    )
  np.testing.assert_allclose(
    opened.load(0)[4:28], read.voxels[0] / 127.5 - 1, atol=1e-6
  )


@pytest.fixture(scope='module')
def trained_in_colour(coloured, tmp_path_factory):
  config = smoke.get_config()
  config.channels = 3
  config.max_steps = 1
  config.generator.levels = 2
  config.data.spacing = 1.0
  config.batch_size = 4
  config.data.cache = str(tmp_path_factory.mktemp('cache'))
  for name in ('train_a', 'train_b', 'test_a', 'test_b'):
    config.data[name] = str(coloured / name)
  workdir = tmp_path_factory.mktemp('colour') / 'run'
  train.train(config, str(workdir))
  return workdir


def test_a_picture_stays_in_colour(trained_in_colour, coloured, tmp_path):
  target = tmp_path / 'fake.png'
  source = coloured / 'test_a' / 'carl_z000.png'
  made = dict(direction='ab', source=str(source), preview=True)
  translate.translate(str(trained_in_colour), target=str(target), **made)
  with Image.open(target) as image:
    assert image.mode == 'RGB' and image.size == (32, 24)
    assert np.ptp(np.asarray(image), 2).max() > 0
    assert 'not for diagnosis' in image.info['Description']
  # A format of scans has no colour: it gets the luminance.
  scan = tmp_path / 'fake.nii.gz'
  translate.translate(str(trained_in_colour), target=str(scan), **made)
  with Image.open(target) as image:
    luminance = np.asarray(image.convert('L'), float)
  assert sorted(nib.load(scan).shape) == [1, 24, 32]
  np.testing.assert_allclose(
    np.sort(np.ravel(nib.load(scan).get_fdata())),
    np.sort(luminance.ravel()),
    atol=2,
  )


def test_a_gray_picture_and_a_scan_stay_gray(
  trained_in_colour, coloured, make_head, save_nifti, tmp_path
):
  source = coloured / 'test_a' / 'carl_z003.png'
  run = dict(direction='ab', overwrite=True)
  target = tmp_path / 'fake.png'
  translate.translate(
    str(trained_in_colour), source=str(source), target=str(target), **run
  )
  with Image.open(target) as image:
    assert image.mode == 'L'
  head = save_nifti(tmp_path / 'T1.nii.gz', make_head((20, 20, 8)))
  target = tmp_path / 'T2.nii.gz'
  translate.translate(
    str(trained_in_colour), source=str(head), target=str(target), **run
  )
  assert nib.load(target).shape == (20, 20, 8)


def test_pairs_in_colour_are_scored_by_luminance(trained_in_colour):
  own = json.loads((trained_in_colour / 'held_out.json').read_text())
  report = evaluate.evaluate(str(trained_in_colour))
  assert report['paired'] and own['paired']
  first, second = (
    found['ab']['references']['untranslated']['psnr']['mean']
    for found in (own, report)
  )
  assert first == pytest.approx(second, rel=0.02)


def test_a_contrast_map_is_of_gray_images():
  from configs import quickstart
  from cyclegan_jax import checks

  fields = checks.flatten(quickstart.get_config().to_dict()) | {'channels': 3}
  with pytest.raises(errors.UserError, match='channels=3: it must be 1 with'):
    rules.check_values(fields)
