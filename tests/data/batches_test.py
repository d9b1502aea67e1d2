import dataclasses
import itertools

import numpy as np
from PIL import Image
import pytest

from cyclegan_jax.data import batches
from cyclegan_jax.data import slices
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import scans

_SIZE = 16


def open_slices(root, cache, size=_SIZE):
  found = scans.find_scans(root)
  settings = framing.SliceSettings(size=size)
  return slices.open_slices(str(root), found, settings, cache=cache)


@pytest.fixture(scope='module')
def numbered(tmp_path_factory):
  """Two domains of slices that tell their number: its left half is brighter."""
  domains = {}
  for domain, count in dict(a=11, b=7).items():
    root = tmp_path_factory.mktemp(domain)
    for i in range(count):
      pixels = np.full((_SIZE, _SIZE), 100 + i, np.uint8)
      pixels[:, : _SIZE // 2] += 50  # left
      pixels[: _SIZE // 2] -= 40  # top
      Image.fromarray(pixels).save(root / f'{i:03d}.png')
    cache = tmp_path_factory.mktemp('cache')
    domains[domain] = open_slices(root, cache)
  return domains


def open_stream(numbered, **changes):
  fields = dict(image_size=_SIZE, batch_size=1, seed=3) | changes
  return batches.train_batches(numbered, **fields)


def number(image):
  """Which slice it is: the darkest pixel is 60 + its number."""
  return round((float(image.min()) + 1) * 127.5) - 60


def numbers(stream, domain, count):
  return [number(batch[domain][0]) for batch in itertools.islice(stream, count)]


@pytest.mark.parametrize('domain,size', [('a', 11), ('b', 7)])
def test_every_epoch_is_another_permutation(numbered, domain, size):
  drawn = numbers(open_stream(numbered), domain, 3 * size)
  epochs = [drawn[i : i + size] for i in range(0, 3 * size, size)]
  for epoch in epochs:
    assert sorted(epoch) == list(range(size))
  assert epochs[0] != epochs[1] != epochs[2]


def test_domains_are_not_paired_up(numbered):
  """After many epochs a slice of a has met every slice of b."""
  met = {
    number(batch['b'][0])
    for batch in itertools.islice(open_stream(numbered), 400)
    if number(batch['a'][0]) == 0
  }
  assert met == set(range(7))


def test_flips_are_left_right_only_and_half_the_time(numbered):
  draws, flipped = 600, 0
  for batch in itertools.islice(open_stream(numbered), draws // 2):
    for domain in 'ab':
      image = batch[domain][0, :, :, 0]
      assert image[0, 0] < image[-1, 0]  # the top stays the darker half
      flipped += bool(image[0, 0] < image[0, -1])
  assert abs(flipped - draws / 2) < 5 * (draws / 4) ** 0.5


def test_sagittal_slices_are_not_flipped(numbered):
  """Their left and right are the front and the back of the head."""
  sagittal = {
    domain: dataclasses.replace(
      opened,
      slices=tuple(each._replace(plane='sagittal') for each in opened.slices),
    )
    for domain, opened in numbered.items()
  }
  for batch in itertools.islice(open_stream(sagittal), 30):
    image = batch['a'][0, :, :, 0]
    assert image[0, 0] > image[0, -1]  # the left half stays the brighter


def test_batches_have_shape_type_and_range(numbered):
  batch = next(open_stream(numbered, batch_size=3))
  for domain in 'ab':
    assert batch[domain].shape == (3, _SIZE, _SIZE, 1)
    assert batch[domain].dtype == np.float32
    assert -1 <= batch[domain].min() < batch[domain].max() <= 1


def test_the_seed_decides(numbered):
  first, again, other = (
    np.stack([batch['a'] for batch in itertools.islice(stream, 20)])
    for stream in (
      open_stream(numbered),
      open_stream(numbered, threads=2),
      open_stream(numbered, seed=4),
    )
  )
  np.testing.assert_array_equal(first, again)
  assert not np.array_equal(first, other)


def test_a_start_is_where_an_uninterrupted_stream_would_be(numbered):
  expected = list(itertools.islice(open_stream(numbered), 13, 23))
  resumed = open_stream(numbered, start=13)
  for batch, other in zip(expected, resumed, strict=False):
    np.testing.assert_array_equal(batch['a'], other['a'])
    np.testing.assert_array_equal(batch['b'], other['b'])


@pytest.mark.parametrize('processes', [2, 4])
@pytest.mark.parametrize('threads', [1, 2])
def test_processes_together_read_what_one_would(numbered, processes, threads):
  """The rows of a batch in order, flipped alike, over some epochs."""
  alone = open_stream(numbered, batch_size=4, start=3)
  shares = [
    open_stream(
      numbered,
      batch_size=4,
      start=3,
      threads=threads,
      process=process,
      processes=processes,
    )
    for process in range(processes)
  ]
  for _ in range(12):
    expected, shown = next(alone), [next(share) for share in shares]
    for domain in 'ab':
      together = np.concatenate([batch[domain] for batch in shown])
      np.testing.assert_array_equal(together, expected[domain])


def test_a_process_reads_its_own_rows_only(numbered, monkeypatch):
  read = []
  load = slices.SliceSet.load
  monkeypatch.setattr(
    slices.SliceSet,
    'load',
    lambda self, index: read.append(index) or load(self, index),
  )
  share = open_stream(numbered, batch_size=4, process=1, processes=4)
  for _ in range(6):
    next(share)
  # A row of each domain a batch, some batches ahead; all rows would be 48.
  assert 12 <= len(read) < 36


def test_the_slices_of_a_step_are_named(numbered):
  stream = open_stream(numbered, batch_size=3)
  for step in range(1, 9):
    named = batches.name_slices(numbered, step, batch_size=3, seed=3)
    batch = next(stream)
    for domain in 'ab':
      shown = [number(image) for image in batch[domain]]
      assert [int(name.split('.')[0]) for name in named[domain]] == shown


def test_larger_slices_are_cropped_at_random(tmp_path):
  ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
  Image.fromarray(np.maximum(ramp, ramp.T)).save(tmp_path / 'x.png')
  domain = open_slices(tmp_path, tmp_path / 'cache', size=32)
  stream = batches.train_batches(
    {'a': domain, 'b': domain}, image_size=16, batch_size=1, seed=0
  )
  crops = [batch['a'][0] for batch in itertools.islice(stream, 60)]
  assert {crop.shape for crop in crops} == {(16, 16, 1)}
  # The smallest value tells the offset from the top left corner: 0 to 16.
  offsets = {round((crop.min() + 1) * 127.5) // 8 for crop in crops}
  assert {0, 16} & offsets and len(offsets) > 8 and max(offsets) <= 16


def test_evaluation_shows_every_slice_once_and_masks_the_filling(numbered):
  found = list(batches.eval_batches({'b': numbered['b']}, batch_size=3))
  assert [batch['mask'].tolist() for batch in found] == [
    [True] * 3,
    [True] * 3,
    [True, False, False],
  ]
  shown = [
    number(image) for batch in found for image in batch['b'][batch['mask']]
  ]
  assert shown == list(range(7))
