"""Slices to batches: two unpaired domains, shuffled anew every epoch.

Every random choice is derived from the seed and an element's position in the
stream: a resumed run sees what an uninterrupted one would have seen, and
several processes see together what one would see alone.
"""

from collections.abc import Iterator
from collections.abc import Mapping

import grain
import numpy as np

from cyclegan_jax.data import slices as slices_lib


class _Slices:
  """A domain as grain's random access source.

  Of an image [size, size, C], and whether its left and right may be exchanged:
  in sagittal slices these are the front and the back of the head.
  """

  def __init__(self, slices: slices_lib.SliceSet):
    self._slices = slices

  def __len__(self):
    return len(self._slices)

  def __getitem__(self, index) -> tuple[np.ndarray, bool]:
    plane = self._slices.slices[int(index)].plane
    return self._slices.load(int(index)), plane != 'sagittal'


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


class _Share(grain.MapDataset):
  """The rows of every global batch that one process reads, one after another.

  Last of all: what is drawn for an image hangs on its place in the stream.
  """

  def __init__(self, parent, *, batch_size: int, process: int, processes: int):
    super().__init__(parent)
    self._batch_size = batch_size
    self._rows = batch_size // processes
    self._first = process * self._rows

  def __len__(self):
    return len(self._parent) // self._batch_size * self._rows

  def __getitem__(self, index):
    if isinstance(index, slice):
      return self.slice(index)
    batch, row = divmod(index, self._rows)
    return self._parent[batch * self._batch_size + self._first + row]


def train_batches(
  sources: Mapping[str, slices_lib.SliceSet],
  *,
  image_size: int,
  batch_size: int,
  seed: int,
  threads: int = 1,
  start: int = 0,
  process: int = 0,
  processes: int = 1,
) -> Iterator[dict[str, np.ndarray]]:
  """An endless stream of {'a', 'b'}, each [rows, H, W, C] in [-1, 1].

  The domains are drawn independently: nothing pairs them up.

  Args:
    sources: slices of domain 'a' and 'b'.
    image_size: H and W; larger slices are cropped at random.
    batch_size: images of each domain in a global batch.
    seed: of order, crops and flips.
    threads: that read ahead.
    start: batches that have been seen.
    process: which rows to read: of the global batch the rows of process 0 come
      first, then those of process 1.
    processes: among which the batch divides; rows = batch_size / processes.
  """
  streams = [
    _shuffle(_Slices(slices), domain, seed).random_map(_CropAndFlip(image_size))
    for domain, slices in sources.items()
  ]
  pairs = grain.experimental.ZipMapDataset(streams)
  share = _Share(
    pairs.map(lambda pair: dict(zip('ab', pair, strict=True))),
    batch_size=batch_size,
    process=process,
    processes=processes,
  )
  # Two batches ahead hide the reading behind a step; more only cost memory.
  ahead = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2)
  rows = batch_size // processes
  batches = iter(share.batch(rows, drop_remainder=True).to_iter_dataset(ahead))
  batches.set_state({'next_index': start})
  return batches


def name_slices(
  sources: Mapping[str, slices_lib.SliceSet],
  step: int,
  *,
  batch_size: int,
  seed: int,
) -> dict[str, list[str]]:
  """The names of the slices in the global batch of a step, by domain.

  Args:
    sources: as in `train_batches`, as are the others.
    step: from 1.
    batch_size: images of each domain in a global batch.
    seed: of the order.
  """
  places = range((step - 1) * batch_size, step * batch_size)
  named = {}
  for domain, slices in sources.items():
    order = _shuffle([each.name for each in slices.slices], domain, seed)
    named[domain] = [order[place] for place in places]
  return named


def _shuffle(source, domain, seed):
  """Shuffled anew every epoch, without end."""
  own = 2 * seed + 'ab'.index(domain)
  return grain.MapDataset.source(source).seed(own).shuffle().repeat(None)


def sample_batch(
  sources: dict[str, slices_lib.SliceSet], *, count: int, image_size: int
) -> dict[str, np.ndarray]:
  """Slices spread over each domain, their inner squares: [count, H, W, C]."""
  spread = {}
  for domain, slices in sources.items():
    rows = np.linspace(0, len(slices) - 1, count + 2)[1:-1].astype(int)
    images = np.stack([slices.load(row) for row in rows])
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
    The images by domain, each [batch_size, H, W, C], and 'mask' [batch_size]:
    which rows are slices, not filling.
  """
  total = min(len(slices) for slices in sources.values())
  for start in range(0, total, batch_size):
    rows = np.arange(start, start + batch_size)
    batch = {
      domain: np.stack(
        [slices.load(row) for row in np.minimum(rows, total - 1)]
      )
      for domain, slices in sources.items()
    }
    yield batch | {'mask': rows < total}
