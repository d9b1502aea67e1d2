"""What a run starts from, out of folders of pictures."""

import numpy as np
from PIL import Image
import pytest

from configs import smoke
from cyclegan_jax import inputs
from cyclegan_jax.contrast import fit
from cyclegan_jax.contrast import start
from cyclegan_jax.data import slices

_NAMES = {'a': 'T1w', 'b': 'T2w'}


@pytest.fixture
def config(tmp_path):
  config = smoke.get_config()
  config.data.cache = str(tmp_path / 'cache')
  config.data.train_a = str(tmp_path / 'a')
  config.data.train_b = str(tmp_path / 'b')
  return config


def save(folder, number, image):
  folder.mkdir(exist_ok=True)
  pixels = (255 * np.clip(image, 0, 1)).astype(np.uint8)
  Image.fromarray(pixels).save(folder / f'person{number}_z000.png')


def load(data):
  return {
    domain: (
      slices.load_spread(each, start.count_slices(each.size))[..., 0] + 1
    )
    / 2
    for domain, each in data.train.items()
  }


def test_inverted_heads_start_inverted(config, tmp_path, capsys):
  rng = np.random.default_rng(0)
  rows, columns = np.mgrid[-1:1:32j, -1:1:32j]
  for domain in 'ab':
    for person in range(10):
      height, width = rng.uniform(0.6, 0.9, 2)
      radius = np.hypot(rows / height, columns / width)
      image = np.where(radius < 1, 0.2 + 0.7 * radius, 0)
      if domain == 'b':
        image = np.where(radius < 1, 1.1 - image, 0)
      save(tmp_path / domain, f'{domain}{person}', image)
  data = inputs.open_data(config)
  deviation = fit.SURROUNDINGS * config.image_size
  fitted = start.fit_maps(load(data), deviation=deviation, look='depth')
  maps = start.choose(start.read(start.write(fitted)), _NAMES)
  assert set(maps) == {'ab', 'ba'}
  assert np.array_equal(maps['ab'], fitted['ab'].values)
  images = (data.train['a'].load(0)[None, ..., 0] + 1) / 2
  mapped = fit.apply_map(maps['ab'], images, deviation=deviation, look='depth')
  head = images > 0.1
  assert np.abs(mapped - (1.1 - images))[head].mean() < 0.06
  told = capsys.readouterr().out.split('T1w to T2w: explains ')[1]
  assert int(told.split('%')[0]) >= 90


def test_a_map_that_tells_nothing_is_left_out(config, tmp_path, capsys):
  rng = np.random.default_rng(1)
  for domain in 'ab':
    for person in range(30):
      radius = np.hypot(*np.mgrid[-1:1:32j, -1:1:32j])
      image = np.where(radius < 0.8, rng.uniform(0.3, 1, (32, 32)), 0)
      save(tmp_path / domain, f'{domain}{person}', image)
  data = inputs.open_data(config)
  maps = start.fit_maps(load(data), deviation=1.5, look='depth')
  assert start.choose(maps, _NAMES) == {}
  told = capsys.readouterr().out
  assert told.count('too little, left out') == 2 and 'reach' not in told
  assert start.choose(maps, _NAMES, reach=0.08) == {}
  wanted = 'T2w to T1w has no map, and --config.generator.reach=0.08 keeps'
  assert wanted in capsys.readouterr().out
