"""What the host spends on a step: the training loop around empty networks.

  python -m benchmarks.loop

Placing the batch on the device, dispatch of the compiled step and the logbook,
as train.py has them, with networks of one parameter each: what is left is
overhead. Twice: with the batches made beforehand, as a loader that is ahead of
a real step has them, and with the loader, which then is what the loop waits for
and shares the processor with. On CPU the step is computed by the same cores;
its time in a loop of its own is given too.
"""

import collections
import functools
import itertools
import pathlib
import statistics
import tempfile
import time

from absl import app
from absl import flags

from benchmarks import loader
from benchmarks import turns

_STEPS = flags.DEFINE_integer('steps', 2000, 'Steps of a round.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  from cyclegan_jax.runtime import host

  host.tune()
  from flax import linen as nn
  import jax
  import optax

  from cyclegan_jax.data import batches as batches_lib
  from cyclegan_jax.gan import state as state_lib
  from cyclegan_jax.gan import steps
  from cyclegan_jax.reporting import logbook as logbook_lib
  from cyclegan_jax.reporting import outlet
  from cyclegan_jax.runtime import devices

  class Empty(nn.Module):
    @nn.compact
    def __call__(self, images, keys=None):
      del keys
      return images * self.param('scale', nn.initializers.ones, ())

  def create():
    return state_lib.create_state(
      jax.random.key(0),
      generator=Empty(),
      discriminator=Empty(),
      tx=optax.adam(2e-4, b1=0.5, b2=0.999),
      image_shape=(1, 1, 1),
      pool_size=0,
    )

  body = functools.partial(
    steps.train_step, objective=steps.Objective('lsgan', 10.0, 0.0, 0.5)
  )
  print(turns.describe_machine('jax', 'grain'))
  with tempfile.TemporaryDirectory() as root:
    source = loader.make_slices(pathlib.Path(root), 400, 256)
    batches = batches_lib.train_batches(
      {'a': source, 'b': source}, image_size=256, batch_size=1, seed=0
    )
    state = devices.create_replicated(create)
    key = devices.create_replicated(functools.partial(jax.random.key, 0))
    batch = devices.shard(next(batches))
    step = devices.compile_step(body, state, next(batches), key)
    logbook = logbook_lib.Logbook(
      outlet.Files(pathlib.Path(root), 0),
      start=0,
      num_steps=10**9,
      recipe_steps=10**9,
      steps_per_epoch=10**9,
      batch_size=1,
      log_every=50,
      schedule=lambda _: 2e-4,
      on_cpu=False,
      name_slices=str,
      max_bad_steps=100,
    )
    state, _ = step(state, batch, key)
    begin = time.perf_counter()
    for _ in range(_STEPS.value):
      state, metrics = step(state, batch, key)
    jax.block_until_ready(metrics)
    alone = 1e3 * (time.perf_counter() - begin) / _STEPS.value
    made = [next(batches) for _ in range(32)]
    rounds = {'batches made': itertools.cycle(made), 'loader': batches}
    lines = [f'step alone {alone:.2f} ms']
    for title, source in rounds.items():
      spent = {'loader': [], 'placing': [], 'step': [], 'logbook': []}
      in_flight = collections.deque()
      for done in range(1, _STEPS.value + 1):
        times = [time.perf_counter()]
        images = next(source)
        times.append(time.perf_counter())
        batch = devices.shard(images)
        times.append(time.perf_counter())
        state, metrics = step(state, batch, key)
        devices.throttle(in_flight, metrics)
        times.append(time.perf_counter())
        logbook.record(done, metrics)
        times.append(time.perf_counter())
        for name, start, end in zip(spent, times, times[1:], strict=False):
          spent[name].append(1e3 * (end - start))
      means = {name: statistics.mean(each) for name, each in spent.items()}
      parts = ', '.join(f'{name} {mean:.2f}' for name, mean in means.items())
      lines.append(
        f'{title}: {sum(means.values()):.2f} ms a step, of which {parts}'
      )
    print('\n'.join(lines))


if __name__ == '__main__':
  app.run(main)
