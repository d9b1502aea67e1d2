"""Slices to batches: two unpaired domains, shuffled anew every epoch.

Every random choice is derived from the seed and an element's position in the
stream, so an iterator's state is one number and a resumed run sees what an
uninterrupted one would have seen.
"""

from collections.abc import Iterator
import threading

from absl import logging
import grain
import numpy as np

from cyclegan_jax.mri import png
from cyclegan_jax.mri import slices


class _Slices:
  """A folder as grain's random access source of images [size, size, 1].

  A file that has become unreadable since the folder was scanned is replaced by
  the next one, with one warning for each file.
  """

  def __init__(self, folder: slices.SliceFolder, size: int):
    self._folder = folder
    self._size = size
    self._corrupt = {}
    self._lock = threading.Lock()

  def __len__(self):
    return len(self._folder.names)

  def __getitem__(self, index) -> np.ndarray:
    folder = self._folder
    for offset in range(len(self)):
      name = folder.names[(int(index) + offset) % len(self)]
      try:
        return slices.load_slice(folder, name, size=self._size)[..., None]
      except png.CorruptImageError as error:
        self._count_corrupt(name, error)
    raise AssertionError('unreachable: too many corrupt files raise before')

  def _count_corrupt(self, name, error):
    with self._lock:
      if name not in self._corrupt:
        self._corrupt[name] = error
        logging.warning(
          'skipped, the file can no longer be decoded (%d of %d): %s',
          len(self._corrupt),
          len(self),
          error,
        )
      slices.check_corrupt(self._folder.root, list(self._corrupt), len(self))


class _CropAndFlip(grain.transforms.RandomMap):
  """A random crop and a left-right flip: a head is never upside down."""

  def __init__(self, size: int):
    self._size = size

  def random_map(self, image, rng: np.random.Generator):
    margin = image.shape[0] - self._size
    top, left = rng.integers(0, margin + 1, size=2)
    image = image[top : top + self._size, left : left + self._size]
    return image[:, ::-1] if rng.random() < 0.5 else image


def train_batches(
  source_a: slices.SliceFolder,
  source_b: slices.SliceFolder,
  *,
  image_size: int,
  batch_size: int,
  seed: int,
  zoom: float = 1.0,
  threads: int = 1,
  shard_index: int = 0,
  shard_count: int = 1,
) -> grain.IterDataset:
  """An endless stream of {'a', 'b'}, each [batch_size, H, W, 1] in [-1, 1].

  The domains are drawn independently: nothing pairs them up.

  Args:
    source_a: slices of domain a.
    source_b: slices of domain b.
    image_size: H and W.
    batch_size: images of each domain in a batch.
    seed: of order, crops and flips.
    zoom: slices are made `zoom * image_size` large, then cropped at random.
    threads: that read ahead.
    shard_index: which share of every epoch this process reads.
    shard_count: into how many it is divided.
  """

  def stream(folder, seed):
    source = _Slices(folder, round(zoom * image_size))
    dataset = grain.MapDataset.source(source).seed(seed).shuffle()
    if shard_count > 1:
      even = len(source) // shard_count * shard_count
      dataset = dataset.slice(slice(shard_index, even, shard_count))
    return dataset.repeat(None).random_map(_CropAndFlip(image_size))

  pairs = grain.experimental.ZipMapDataset(
    [stream(source_a, 2 * seed), stream(source_b, 2 * seed + 1)]
  )
  named = pairs.map(lambda pair: dict(zip('ab', pair, strict=True)))
  # Two batches ahead hide the reading behind a step; more only cost memory.
  ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2)
  return named.batch(batch_size, drop_remainder=True).to_iter_dataset(ahead)


def eval_batches(
  sources: dict[str, slices.SliceFolder], *, image_size: int, batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
  """Every slice once, in order, as it is: neither cropped nor flipped.

  Args:
    sources: folders of equally many slices by the name of their domain.
    image_size: H and W.
    batch_size: of every batch: the last is filled up with its last slice.

  Yields:
    The images by domain, each [batch_size, H, W, 1], and 'mask' [batch_size]:
    which rows are slices, not filling nor slices that cannot be decoded.
  """
  total = min(len(folder.names) for folder in sources.values())
  for start in range(0, total, batch_size):
    rows = [
      _load_row(sources, min(row, total - 1), image_size, valid=row < total)
      for row in range(start, start + batch_size)
    ]
    yield {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _load_row(sources, row, size, *, valid):
  """One slice of every domain; a row counts only if all can be decoded."""
  images = {}
  for domain, folder in sources.items():
    try:
      image = slices.load_slice(folder, folder.names[row], size=size)
    except png.CorruptImageError as error:
      logging.warning('left out, the file cannot be decoded: %s', error)
      image, valid = np.full((size, size), -1, np.float32), False
    images[domain] = image[..., None]
  return images | {'mask': np.bool_(valid)}
