"""Slices to batches: two unpaired domains, shuffled anew every epoch.

Every random choice is derived from the seed and an element's position in the
stream, so an iterator's state is one number and a resumed run sees what an
uninterrupted one would have seen.
"""

from collections.abc import Iterator
from collections.abc import Mapping

import grain
import numpy as np

from cyclegan_jax.data import slices as slices_lib


class _Slices:
  """A domain as grain's random access source.

  Of an image [size, size, 1], and whether its left and right may be exchanged:
  in sagittal slices these are the front and the back of the head.
  """

  def __init__(self, slices: slices_lib.SliceSet):
    self._slices = slices

  def __len__(self):
    return len(self._slices)

  def __getitem__(self, index) -> tuple[np.ndarray, bool]:
    plane = self._slices.slices[int(index)].plane
    return self._slices.load(int(index))[..., None], plane != 'sagittal'


class _CropAndFlip(grain.transforms.RandomMap):
  """A random crop and a left-right flip: a head is never upside down."""

  def __init__(self, size: int):
    self._size = size

  def random_map(self, element, rng: np.random.Generator):
    image, may_flip = element
    margin = image.shape[0] - self._size
    top, left = rng.integers(0, margin + 1, size=2)
    image = image[top : top + self._size, left : left + self._size]
    return image[:, ::-1] if rng.random() < 0.5 and may_flip else image


def train_batches(
  source_a: slices_lib.SliceSet,
  source_b: slices_lib.SliceSet,
  *,
  image_size: int,
  batch_size: int,
  seed: int,
  threads: int = 1,
  shard_index: int = 0,
  shard_count: int = 1,
) -> grain.IterDataset:
  """An endless stream of {'a', 'b'}, each [batch_size, H, W, 1] in [-1, 1].

  The domains are drawn independently: nothing pairs them up.

  Args:
    source_a: slices of domain a.
    source_b: slices of domain b.
    image_size: H and W; larger slices are cropped at random.
    batch_size: images of each domain in a batch.
    seed: of order, crops and flips.
    threads: that read ahead.
    shard_index: which share of the stream this process reads: together they
      read what one would alone.
    shard_count: into how many it is divided, an image to each in turn.
  """

  def stream(slices, seed):
    source = _Slices(slices)
    dataset = grain.MapDataset.source(source).seed(seed).shuffle()
    dataset = dataset.repeat(None).random_map(_CropAndFlip(image_size))
    # Last: what is drawn for an image hangs on its place in the whole stream.
    return dataset.slice(slice(shard_index, None, shard_count))

  pairs = grain.experimental.ZipMapDataset(
    [stream(source_a, 2 * seed), stream(source_b, 2 * seed + 1)]
  )
  named = pairs.map(lambda pair: dict(zip('ab', pair, strict=True)))
  # Two batches ahead hide the reading behind a step; more only cost memory.
  ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2)
  return named.batch(batch_size, drop_remainder=True).to_iter_dataset(ahead)


def sample_batch(
  sources: dict[str, slices_lib.SliceSet], *, count: int, image_size: int
) -> dict[str, np.ndarray]:
  """Slices spread over each domain, their inner squares: [count, H, W, 1]."""
  spread = {}
  for domain, slices in sources.items():
    rows = np.linspace(0, len(slices) - 1, count + 2)[1:-1].astype(int)
    images = np.stack([slices.load(row)[..., None] for row in rows])
    spread[domain] = slices_lib.crop_middle(images, image_size)
  return spread


def eval_batches(
  sources: Mapping[str, slices_lib.SliceSet], *, batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
  """Every slice once, in order, as it is: neither cropped nor flipped.

  Args:
    sources: equally many slices by the name of their domain.
    batch_size: of every batch: the last is filled up with its last slice.

  Yields:
    The images by domain, each [batch_size, H, W, 1], and 'mask' [batch_size]:
    which rows are slices, not filling.
  """
  total = min(len(slices) for slices in sources.values())
  for start in range(0, total, batch_size):
    rows = np.arange(start, start + batch_size)
    batch = {
      domain: np.stack(
        [slices.load(row)[..., None] for row in np.minimum(rows, total - 1)]
      )
      for domain, slices in sources.items()
    }
    yield batch | {'mask': rows < total}
