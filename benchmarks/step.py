"""The step against the same step with plain flax transposed convolutions.

  python benchmarks/step.py
  python benchmarks/step.py --only=unet:256:64:1 --steps=3

For every case NETWORK:SIZE:FEATURES:BATCH, and for both versions: seconds to
compile, the median of the seconds a step (the two take turns), images of each
domain a second, and peak resident memory, each version in a process of its own.
The ratio is plain flax over ours: above 1 we are faster.

Both run the same `train_step` with the same losses, Adam and no pool, from the
same weights; the losses of the first step must agree. The plain version exists
only here, to measure by.
"""

import functools
import multiprocessing
import os
import platform
import resource
import statistics
import time

from absl import app
from absl import flags
from flax import linen as nn
import jax
import numpy as np

from cyclegan_jax import convolution
from cyclegan_jax import models
from cyclegan_jax import optimizers
from cyclegan_jax import state as state_lib
from cyclegan_jax import steps

_ONLY = flags.DEFINE_multi_string(
  'only',
  ['unet:64:32:1', 'unet:128:32:1', 'resnet:64:16:1', 'unet:256:64:1'],
  'Cases to run, NETWORK:SIZE:FEATURES:BATCH.',
)
_STEPS = flags.DEFINE_integer('steps', 5, 'Timed steps of each version.')


class PlainConvTranspose(nn.Module):
  """flax's own layer, with the parameters of `convolution.ConvTranspose`."""

  features: int
  kernel_size: int
  stride: int = 2
  padding: int = 1
  use_bias: bool = True

  @nn.compact
  def __call__(self, images):
    low = self.kernel_size - 1 - self.padding
    high = low + self.stride + 2 * self.padding - self.kernel_size
    layer = nn.ConvTranspose(
      self.features,
      (self.kernel_size,) * 2,
      strides=(self.stride,) * 2,
      padding=((low, high),) * 2,
      use_bias=self.use_bias,
      transpose_kernel=True,
      kernel_init=nn.initializers.normal(0.02),
    )
    nn.share_scope(self, layer)
    return layer(images)


def prepare(case: str, *, plain: bool):
  """Compiles the step of a case: (step, state, batch, seconds)."""
  network, size, features, batch_size = case.split(':')
  size, features, batch_size = map(int, (size, features, batch_size))
  if plain:
    convolution.ConvTranspose = PlainConvTranspose
  generator = {
    'unet': lambda: models.UNet(
      features=features, levels=min(8, size.bit_length() - 1), dropout=0.5
    ),
    'resnet': lambda: models.ResNet(
      features=features, blocks=9 if size >= 256 else 6
    ),
  }[network]()
  schedule = optimizers.hold_then_decay(2e-4, num_steps=100, decay_steps=50)
  create = functools.partial(
    state_lib.create_state,
    generator=generator,
    discriminator=models.PatchDiscriminator(features=features),
    tx=optimizers.adam(schedule, beta1=0.5, beta2=0.999),
    image_shape=(size, size, 1),
    pool_size=0,
  )
  state = jax.jit(create)(jax.random.key(0))
  rng = np.random.default_rng(0)
  shape = (2, batch_size, size, size, 1)
  a, b = rng.uniform(-1, 1, shape).astype(np.float32)
  batch = {'a': a, 'b': b}
  step = functools.partial(
    steps.train_step, weights=steps.LossWeights('bce', 1.0, 1.0, 0.5)
  )
  start = time.perf_counter()
  compiled = (
    jax.jit(step, donate_argnums=0)
    .lower(state, batch, jax.random.key(1))
    .compile()
  )
  return compiled, state, batch, time.perf_counter() - start


def serve(case: str, plain: bool, pipe):
  """Runs a step whenever asked; answers with its seconds and a loss."""
  step, state, batch, compile_seconds = prepare(case, plain=plain)
  key = jax.random.key(1)
  pipe.send(compile_seconds)
  while pipe.recv():
    start = time.perf_counter()
    state, metrics = jax.block_until_ready(step(state, batch, key))
    seconds = time.perf_counter() - start
    pipe.send((seconds, float(metrics['generator_ab'])))
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  pipe.send(peak)


def measure(case: str, timed: int) -> dict:
  """Interleaves both versions of a case, each in its own process."""
  context = multiprocessing.get_context('spawn')
  sides = {}
  for name, plain in (('ours', False), ('plain', True)):
    pipe, remote = context.Pipe()
    process = context.Process(target=serve, args=(case, plain, remote))
    process.start()
    sides[name] = pipe
    sides[name, 'compile'] = pipe.recv()  # one compiles at a time
  times, losses = {'ours': [], 'plain': []}, {}
  for turn in range(timed + 1):  # the first warms up
    for name, seconds in times.items():
      sides[name].send(True)
      elapsed, loss = sides[name].recv()
      if turn:
        seconds.append(elapsed)
      else:
        losses[name] = loss
  np.testing.assert_allclose(losses['ours'], losses['plain'], rtol=1e-4)
  row = {}
  for name, seconds in times.items():
    sides[name].send(False)
    row[name] = (
      sides[name, 'compile'],
      statistics.median(seconds),
      sides[name].recv(),
    )
  return row


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  print(
    f'{platform.machine()}, {os.cpu_count()} threads, '
    f'{jax.devices()[0].device_kind}; Python {platform.python_version()}, '
    f'jax {jax.__version__}'
  )
  print(
    f'{"case":<18}{"version":<8}{"compile s":>10}{"s a step":>10}'
    f'{"images/s":>10}{"peak MiB":>10}{"ratio":>8}'
  )
  for case in _ONLY.value:
    row = measure(case, _STEPS.value)
    batch_size = int(case.split(':')[-1])
    for name, (compiling, seconds, peak) in row.items():
      ratio = row['plain'][1] / seconds
      print(
        f'{case:<18}{name:<8}{compiling:>10.1f}{seconds:>10.3f}'
        f'{batch_size / seconds:>10.2f}{peak:>10.0f}{ratio:>8.2f}',
        flush=True,
      )


if __name__ == '__main__':
  app.run(main)
