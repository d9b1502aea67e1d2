"""What the loader can feed, and that its memory stays flat.

  python -m benchmarks.loader
  python -m benchmarks.loader --draws=100000

Writes pictures of 256 x 256 to a temporary folder, opens them as training does,
slice cache and all, and draws batches of both domains as fast as they come: in
one process with one and with two threads, and in two processes that share each
batch, as those of a run with a process for each device do. Memory is handled as
on the host of an accelerator.
"""

from concurrent import futures
import multiprocessing
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
_SLICES = flags.DEFINE_integer('slices', 400, 'In each domain.')


def make_slices(root: pathlib.Path, count: int, size: int):
  """Random pictures, opened once, so that they are in the cache."""
  rng = np.random.default_rng(0)
  folder = root / 'pictures'
  folder.mkdir()
  for i in range(count):
    coarse = rng.integers(0, 255, (16, 16), np.uint8)
    picture = Image.fromarray(coarse).resize((size, size), Image.BICUBIC)
    picture.save(folder / f'p{i:05d}_z1.png')
  return open_slices(root, size)


def open_slices(root: pathlib.Path, size: int):
  """A training domain of the pictures of `make_slices`."""
  from cyclegan_jax.data import slices
  from cyclegan_jax.mri import framing
  from cyclegan_jax.mri import scans

  return slices.open_slices(
    str(root / 'pictures'),
    scans.find_scans(str(root / 'pictures')),
    framing.SliceSettings(size=size),
    cache=root / 'cache',
  )


def draw(
  root: str,
  size: int,
  batch: int,
  draws: int,
  *,
  threads: int,
  process: int,
  processes: int,
) -> tuple[float, float, float, float, float]:
  """When it began and ended, processor seconds, MiB early on and at last."""
  from cyclegan_jax.data import batches as batches_lib
  from cyclegan_jax.runtime import host

  host.tune(accelerated=True)
  source = open_slices(pathlib.Path(root), size)
  batches = batches_lib.train_batches(
    {'a': source, 'b': source},
    image_size=size,
    batch_size=batch * processes,
    seed=0,
    threads=threads,
    process=process,
    processes=processes,
  )
  next(batches)
  count = draws // (2 * batch)
  processor, start, early = time.process_time(), time.perf_counter(), 0.0
  for i in range(count):
    next(batches)
    if i == count // 10:
      early = _resident()
  end = time.perf_counter()
  return start, end, time.process_time() - processor, early, _resident()


def _resident():
  """MiB now: the peak that Linux tells is, at first, that of the parent."""
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
  return pages * resource.getpagesize() / 2**20


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  print(turns.describe_machine('grain', 'numpy'))
  own = multiprocessing.get_context('spawn')
  with tempfile.TemporaryDirectory() as root:
    make_slices(pathlib.Path(root), _SLICES.value, _SIZE.value)
    for processes, threads in ((1, 1), (1, 2), (2, 1)):
      with futures.ProcessPoolExecutor(processes, mp_context=own) as pool:
        shares = [
          pool.submit(
            draw,
            root,
            _SIZE.value,
            _BATCH.value,
            _DRAWS.value,
            threads=threads,
            process=place,
            processes=processes,
          )
          for place in range(processes)
        ]
        rows = [share.result() for share in shares]
      starts, ends, processor, early, late = zip(*rows, strict=True)
      images = processes * (
        _DRAWS.value // (2 * _BATCH.value) * 2 * _BATCH.value
      )
      print(
        f'{processes} x {threads} reading ahead: '
        f'{images / (max(ends) - min(starts)):,.0f} images/s; '
        f'{1e6 * sum(processor) / images:.0f} us of a processor each; '
        f'memory {max(late):.0f} MiB, {max(late) - max(early):+.1f} in '
        'the last nine tenths'
      )


if __name__ == '__main__':
  app.run(main)
