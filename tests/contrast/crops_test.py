"""Crops for training: parts of slices, that know where in a head they are."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax.contrast import crops
from cyclegan_jax.contrast import fit
from cyclegan_jax.contrast import layer
from cyclegan_jax.mri import channels

_SIDE, _SIZE, _DEVIATION = 64, 24, 3.0


@pytest.fixture(scope='module')
def batch():
  """Heads off the middle of black slices with their own texture, 8 each."""
  rows, columns = np.ogrid[:_SIDE, :_SIDE]
  rng = np.random.default_rng(0)
  images = {}
  for domain, (row, column) in {'a': (22, 40), 'b': (36, 30)}.items():
    inside = ((rows - row) / 18) ** 2 + ((columns - column) / 14) ** 2 < 1
    texture = rng.uniform(0.3, 0.9, (8, _SIDE, _SIDE))
    images[domain] = np.where(inside, texture, 0)[..., None]
  return {
    domain: jnp.asarray(2 * x - 1, jnp.float32) for domain, x in images.items()
  }


@pytest.fixture(scope='module')
def cut():
  @jax.jit
  def cut(batch, seed):
    keys = jax.random.split(jax.random.key(seed), 8)
    return crops.cut(batch, keys, size=_SIZE, deviation=_DEVIATION)

  return cut


def find(crop, image):
  """Where in an image [H, W] a crop is taken from, by its own pixels."""
  windows = np.lib.stride_tricks.sliding_window_view(image, crop.shape)
  ((row, column),) = np.argwhere((windows == crop).all((-1, -2)))
  return row, column


def test_crops_are_parts_of_slices_with_the_places_they_have_there(batch, cut):
  cropped, places = cut(batch, 0)
  corners = {}
  for domain, images in batch.items():
    chex.assert_shape(cropped[domain], (8, _SIZE, _SIZE, 1))
    whole = layer.find_places((images + 1) / 2, _DEVIATION)
    corners[domain] = []
    for i in range(8):
      row, column = find(
        np.asarray(cropped[domain][i, ..., 0]), np.asarray(images[i, ..., 0])
      )
      corners[domain].append((row, column))
      window = np.s_[i, row : row + _SIZE, column : column + _SIZE]
      np.testing.assert_array_equal(
        places[domain].heads[i], whole.heads[window]
      )
      np.testing.assert_allclose(
        places[domain].depths[i], whole.depths[window], atol=1e-6
      )
  assert len(set(corners['a'])) > 4  # each image has its own
  assert corners['a'] != corners['b']


def test_crops_cover_the_head_and_do_not_stray_from_it(batch, cut):
  """All of its box is seen, and a margin of a sixteenth of the side, 4."""
  seen = np.zeros((_SIDE, _SIDE), bool)
  image = np.asarray(batch['a'][0, ..., 0])
  for seed in range(60):
    cropped, places = cut(batch, seed)
    assert places['a'].heads[0].mean() > 0.1
    row, column = find(np.asarray(cropped['a'][0, ..., 0]), image)
    seen[row : row + _SIZE, column : column + _SIZE] = True
  inside = image > -1
  ends = [np.flatnonzero(inside.any(axis))[[0, -1]] for axis in (1, 0)]
  assert seen[inside].all()
  shown = [np.flatnonzero(seen.any(axis))[[0, -1]] for axis in (1, 0)]
  for (first, last), (low, high) in zip(ends, shown, strict=True):
    assert first - 5 <= low <= first and last <= high <= last + 5


def test_a_crop_as_large_as_the_slice_is_the_slice(batch):
  keys = jax.random.split(jax.random.key(0), 8)
  cropped, _ = crops.cut(batch, keys, size=_SIDE, deviation=_DEVIATION)
  chex.assert_trees_all_equal(cropped, batch)


def test_a_generator_starts_in_a_crop_as_it_does_in_the_slice(batch, cut):
  """Which no crop could tell by itself: most show no outline at all."""
  start = layer.ContrastLayer(_DEVIATION, look='depth')
  ramp = np.linspace(0, 1, fit.unchanged('depth').shape[1], dtype=np.float32)
  table = fit.unchanged('depth') * 0.5 + ramp / 3
  params = {'params': {'values': jnp.asarray(table)}}
  whole = start.apply(params, batch['a'])
  cropped, places = cut(batch, 3)
  known = start.apply(params, cropped['a'], places['a'])
  alone = start.apply(params, cropped['a'])
  differ = 0
  for i in range(8):
    row, column = find(
      np.asarray(cropped['a'][i, ..., 0]), np.asarray(batch['a'][i, ..., 0])
    )
    wanted = whole[i, row : row + _SIZE, column : column + _SIZE]
    np.testing.assert_allclose(known[i], wanted, atol=1e-5)
    differ += bool(np.abs(alone[i] - wanted).max() > 0.05)
  assert differ > 4


def test_levels_travel_with_crops_and_with_whole_slices(batch):
  levels = np.linspace(0, 1, 8)
  levelled = {
    domain: jnp.asarray(
      channels.spread(np.asarray(each), channels.LEVELLED, levels)
    )
    for domain, each in batch.items()
  }
  keys = jax.random.split(jax.random.key(0), 8)
  settings = dict(size=_SIZE, deviation=_DEVIATION)
  plain, known = crops.cut(batch, keys, **settings)
  cropped, places = crops.cut(levelled, keys, **settings, levelled=True)
  chex.assert_trees_all_equal(cropped, plain)
  whole, apart = crops.part(levelled, keys)
  chex.assert_trees_all_equal(whole, batch)
  wanted = np.broadcast_to(levels[:, None, None, None], (8, _SIDE, _SIDE, 1))
  for domain in 'ab':
    chex.assert_trees_all_equal(places[domain][:2], known[domain][:2])
    np.testing.assert_allclose(
      places[domain].levels, wanted[:, :_SIZE, :_SIZE], atol=1e-6
    )
    np.testing.assert_allclose(apart[domain].levels, wanted, atol=1e-6)
