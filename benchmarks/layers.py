"""Every form of every convolution of a network: what `choose_form` goes by.

  python -m benchmarks.layers
  python -m benchmarks.layers --only=resnet:128:64:1

For every layer shape of the case NETWORK:SIZE:FEATURES:BATCH and each of its
three maps: milliseconds of each form, the best of some runs, the one that the
rule chooses marked with *. First all forms must agree.
"""

from absl import app
from absl import flags

from benchmarks import cases
from benchmarks import turns

_ONLY = flags.DEFINE_multi_string(
  'only', ['unet:128:64:1'], 'Cases to run, NETWORK:SIZE:FEATURES:BATCH.'
)
_RUNS = flags.DEFINE_integer('runs', 8, 'Timed runs of each form.')
_LARGEST = 2**27  # elements of patches; beyond, no rule would take them


def measure(which, images, kernel, stride, padding):
  """Milliseconds by form; fails if they do not agree."""
  import time

  import jax
  import numpy as np

  from cyclegan_jax.networks import convolution_forms as forms
  from cyclegan_jax.runtime import compiler

  rng = np.random.default_rng(0)
  side = (images[1] + 2 * padding - kernel[0]) // stride + 1
  shapes = (images, kernel, (images[0], side, side, kernel[3]))
  x, k, y = (rng.standard_normal(shape, np.float32) for shape in shapes)
  arrays, shape = {
    'forward': ((x, k), ()),
    'input': ((y, k), (images,)),
    'kernel': ((x, y), (kernel,)),
  }[which]
  arrays = jax.device_put(arrays)
  seconds, expected = {}, None
  for form in forms.fitting(which, images, kernel, stride, padding):
    patches = images[0] * side**2 * kernel[0] ** 2 * images[3]
    if form == 'matrix' and patches > _LARGEST:
      continue
    function = forms.FORMS[which][form]
    compiled = (
      jax.jit(lambda a, b: function(a, b, *shape, stride, padding))  # noqa: B023
      .lower(*arrays)
      .compile(compiler.options())
    )
    result = np.asarray(compiled(*arrays))
    expected = result if expected is None else expected
    error = np.abs(result - expected).max() / np.abs(expected).max()
    if error > 1e-4:
      raise SystemExit(f'{which} {form} {images} {kernel}: differs by {error}')
    times = []
    for _ in range(_RUNS.value):
      start = time.perf_counter()
      jax.block_until_ready(compiled(*arrays))
      times.append(time.perf_counter() - start)
    seconds[form] = 1e3 * min(times)
  return seconds


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  from cyclegan_jax.networks import convolution
  from cyclegan_jax.runtime import host

  host.tune()
  print(turns.describe_machine('jax'))
  for case in _ONLY.value:
    print(case)
    for which, *layer in cases.find_layers(case):
      images, kernel, stride, _ = layer
      chosen = convolution.choose_form(which, *layer)
      row = '  '.join(
        f'{form}{"*" if form == chosen else ""} {milliseconds:.1f}'
        for form, milliseconds in measure(which, *layer).items()
      )
      size, _, inputs, outputs = kernel
      print(
        f'  {which:<8}{images[0]} x {images[1]:>3}  '
        f'{inputs:>4} -> {outputs:<4} k{size} s{stride}  {row}',
        flush=True,
      )


if __name__ == '__main__':
  app.run(main)
