"""The step: its speed against plain flax, its work, its memory.

  python -m benchmarks.step
  python -m benchmarks.step --only=unet:256:64:1 --turns=3
  python -m benchmarks.step --only=unet:256:64:4 --turns=0

For every case NETWORK:SIZE:FEATURES:BATCH three tables.

Speed: ours and the same step with flax's own transposed convolutions and XLA's
own gradients take turns; the ratio is plain over ours, above 1 we are faster.
The plain version exists only here, to measure by. The losses of the first step
must agree. `--turns=0` leaves this out.

Work: floating point operations of the compiled step, as XLA counts them, over
the least that the algorithm needs, which `cases.least_flops` derives.

Memory: `compiled.memory_analysis()` of the step with each option that trades
for it, and what XLA counts of operations then.
"""

import functools

from absl import app
from absl import flags

from benchmarks import cases
from benchmarks import turns

_ONLY = flags.DEFINE_multi_string(
  'only',
  ['unet:64:32:1', 'unet:128:32:1', 'resnet:64:16:1', 'unet:256:64:1'],
  'Cases to run, NETWORK:SIZE:FEATURES:BATCH.',
)
_TURNS = flags.DEFINE_integer('turns', 5, 'Timed steps of each version.')
_OPTIONS = {
  'float32': {},
  'bfloat16': {'dtype': 'bfloat16'},
  'remat': {'remat': True},
  'accumulate 2': {'parts': 2},
  'ema': {'ema_decay': 0.999},
}


def ready(case: str, plain: bool) -> turns.Turn:
  """One version, compiled, with a fresh state."""
  from cyclegan_jax.runtime import host

  if not plain:
    host.tune()
  import jax
  import numpy as np

  if plain:
    _make_plain()
  step, create, shapes = cases.compile_step(case, plain=plain)
  host.release()
  states = [jax.jit(create)(jax.random.key(0))]
  rng = np.random.default_rng(0)
  batch = {
    domain: rng.uniform(-1, 1, like.shape).astype(np.float32)
    for domain, like in shapes.items()
  }

  def turn():
    state, metrics = step(states.pop(), batch, jax.random.key(0))
    states.append(jax.block_until_ready(state))
    return {name: float(value) for name, value in metrics.items()}

  return turn


def _make_plain():
  """Puts flax's and XLA's own in the place of our convolutions."""
  from flax import linen as nn

  from cyclegan_jax.networks import convolution
  from cyclegan_jax.networks import convolution_forms as forms

  class PlainConvTranspose(nn.Module):
    """flax's own layer, with the parameters of ours."""

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

  convolution.ConvTranspose = PlainConvTranspose
  convolution.conv = forms.FORMS['forward']['direct']


def say_speed(case):
  sides = {
    name: functools.partial(ready, case, name == 'plain')
    for name in ('ours', 'plain')
  }
  results = turns.take_turns(sides, turns=_TURNS.value)
  losses = [results[name].outcomes[0]['generator_ab'] for name in sides]
  if abs(losses[0] - losses[1]) > 1e-4 * abs(losses[1]):
    raise SystemExit(f'{case}: not the same work: losses {losses}')
  print(f'{"":<16}{"ready s":>9}{"s a step":>10}{"peak MiB":>10}{"ratio":>8}')
  for name, result in results.items():
    ratio = results['plain'].median_s / result.median_s
    print(
      f'  {name:<14}{result.ready_s:>9.1f}{result.median_s:>10.3f}'
      f'{result.peak_mb:>10.0f}{ratio:>8.2f}',
      flush=True,
    )


def say_work_and_memory(case):
  least = cases.least_flops(case)
  print(
    f'{"":<16}{"state MiB":>10}{"temporary MiB":>15}{"GFLOP":>10}'
    f'{"over the least":>16}'
  )
  for name, options in _OPTIONS.items():
    batch_size = int(case.split(':')[-1])
    if batch_size % options.get('parts', 1):
      continue
    compiled, _, _ = cases.compile_step(case, **options)
    memory = compiled.memory_analysis()
    flops = compiled.cost_analysis()['flops']
    print(
      f'  {name:<14}{memory.argument_size_in_bytes / 2**20:>10.0f}'
      f'{memory.temp_size_in_bytes / 2**20:>15.0f}{flops / 1e9:>10.1f}'
      f'{flops / least:>16.3f}',
      flush=True,
    )


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  from cyclegan_jax.runtime import host

  host.tune()
  print(turns.describe_machine('jax', 'flax'))
  for case in _ONLY.value:
    print(case)
    if _TURNS.value:
      say_speed(case)
    say_work_and_memory(case)


if __name__ == '__main__':
  app.run(main)
