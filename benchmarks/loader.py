"""What the loader can feed, and that its memory stays flat.

  python -m benchmarks.loader
  python -m benchmarks.loader --draws=100000

Writes pictures of 256 x 256 to a temporary folder, opens them as training does,
slice cache and all, and draws batches of both domains as fast as they come.
"""

import pathlib
import resource
import tempfile
import time

from absl import app
from absl import flags
import numpy as np
from PIL import Image

from benchmarks import turns

_DRAWS = flags.DEFINE_integer('draws', 20_000, 'Images to draw.')
_SIZE = flags.DEFINE_integer('size', 256, 'Pixels.')
_BATCH = flags.DEFINE_integer('batch', 4, 'Images of each domain at a time.')
_SLICES = 400


def open_slices(root):
  """A training domain of random pictures."""
  from cyclegan_jax.data import slices
  from cyclegan_jax.mri import framing
  from cyclegan_jax.mri import scans

  rng = np.random.default_rng(0)
  folder = root / 'pictures'
  folder.mkdir()
  for i in range(_SLICES):
    coarse = rng.integers(0, 255, (16, 16), np.uint8)
    picture = Image.fromarray(coarse).resize((_SIZE.value,) * 2, Image.BICUBIC)
    picture.save(folder / f'p{i:04d}_z1.png')
  return slices.open_slices(
    str(folder),
    scans.find_scans(str(folder)),
    framing.SliceSettings(size=_SIZE.value),
    cache=root / 'cache',
  )


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  from cyclegan_jax.data import batches as batches_lib

  def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

  print(turns.describe_machine('grain', 'numpy'))
  with tempfile.TemporaryDirectory() as root:
    source = open_slices(pathlib.Path(root))
    for threads in (1, 2):
      batches = batches_lib.train_batches(
        {'a': source, 'b': source},
        image_size=_SIZE.value,
        batch_size=_BATCH.value,
        seed=0,
        threads=threads,
      )
      count = _DRAWS.value // (2 * _BATCH.value)
      next(batches)
      processor, start = time.process_time(), time.perf_counter()
      before = None
      for i in range(count):
        next(batches)
        if before is None and i >= count // 10:
          before = resident()
      seconds = time.perf_counter() - start
      processor = time.process_time() - processor
      images = count * 2 * _BATCH.value
      print(
        f'{threads} reading ahead: {images / seconds:,.0f} images/s; '
        f'{1e6 * processor / images:.0f} us of a processor each; peak memory '
        f'{resident():.0f} MiB, {resident() - before:+.1f} in the last '
        f'{images * 9 // 10:,} images'
      )


if __name__ == '__main__':
  app.run(main)
