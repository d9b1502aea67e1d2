"""How fast slices are translated by one device, and by several of a host.

  python -m benchmarks.translation
  python -m benchmarks.translation --case=resnet:128:64:4 --devices=1,2,4

Fresh weights, random slices, through `devices.map_images` as translation and
evaluation use it, four slices at a time on each device. Virtual devices share
the processor's threads: what is to be seen is that they lose nothing, and that
the results are the same to the bit. That depends on the number of threads,
which is made the same for all.
"""

import functools
import hashlib
import os

from absl import app
from absl import flags
import numpy as np

from benchmarks import cases
from benchmarks import turns

_CASE = flags.DEFINE_string(
  'case', 'resnet:64:16:4', 'NETWORK:SIZE:FEATURES:BATCH, on each device.'
)
_DEVICES = flags.DEFINE_list('devices', ['1', '2', '4'], 'How many.')
_SLICES = flags.DEFINE_integer('slices', 182, 'Of the volume.')
_TURNS = flags.DEFINE_integer('turns', 5, 'Timed turns of each.')


def ready(case: str, count: int, slices: int, threads: int) -> turns.Turn:
  """A generator on so many virtual devices, compiled."""
  os.environ['XLA_FLAGS'] = f'--xla_force_host_platform_device_count={count}'
  os.environ['NPROC'] = str(threads)
  from cyclegan_jax.runtime import host

  host.tune()
  import jax

  from cyclegan_jax.runtime import devices

  generator, _, size, batch_size = cases.make_modules(case)
  rng = np.random.default_rng(0)
  images = rng.uniform(-1, 1, (slices, size, size, 1)).astype(np.float32)
  params = jax.jit(generator.init)(jax.random.key(0), images[:1])
  translate = devices.map_images(generator.apply, params)
  step = batch_size * count

  def turn():
    made = [
      translate(np.resize(images[i : i + step], (step, *images.shape[1:])))
      for i in range(0, slices, step)
    ]
    digest = hashlib.sha256(np.concatenate(made)[:slices].tobytes())
    return {'digest': float(int(digest.hexdigest()[:12], 16))}

  turn()
  return turn


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  print(turns.describe_machine('jax', 'flax'))
  counts = list(map(int, _DEVICES.value))
  threads = max(turns.threads(), *counts)
  sides = {
    str(count): functools.partial(
      ready, _CASE.value, count, _SLICES.value, threads
    )
    for count in counts
  }
  results = turns.take_turns(sides, turns=_TURNS.value)
  first, *_ = results.values()
  for name, result in results.items():
    same = result.outcomes[0] == first.outcomes[0]
    print(
      f'{_CASE.value} on {name}: {_SLICES.value / result.median_s:.1f} '
      f'slices/s, {first.median_s / result.median_s:.2f} of the first; '
      f'{"the same to the bit" if same else "OTHER BITS"}; '
      f'{result.peak_mb:.0f} MiB'
    )


if __name__ == '__main__':
  app.run(main)
