"""What each convolution of a step costs on a TPU; no TPU is needed.

  pip install "jax[tpu]"
  python -m benchmarks.tpu_layers --only=unet:256:64:1 --only=resnet:256:64:1

Every map of every layer, compiled alone for one v5e chip: operations and bytes
as the compiler counts them, over the least there is: each product once, each
array once. What is above 1 is padding, of few channels to whole lanes, of a
strided map with zeros, or copying. Compiled, and not run.
"""

import functools
import math
import os

from absl import app
from absl import flags

from benchmarks import cases
from benchmarks import tpu
from benchmarks import turns

_ONLY = flags.DEFINE_multi_string(
  'only', ['resnet:256:64:1'], 'Cases to compile, NETWORK:SIZE:FEATURES:BATCH.'
)


def count(which: str, images, kernel, stride: int, padding: int, chip) -> dict:
  """Operations and bytes of a map on a chip, and the least of both."""
  import jax
  import numpy as np

  from cyclegan_jax.networks import convolution_forms as forms

  size, _, inputs, outputs = kernel
  sides = [(side + 2 * padding - size) // stride + 1 for side in images[1:3]]
  result = (images[0], *sides, outputs)
  arrays, shape = {
    'forward': ((images, kernel), ()),
    'input': ((result, kernel), (images,)),
    'kernel': ((images, result), (kernel,)),
  }[which]
  form = forms.FORMS[which]['direct']
  place = jax.sharding.SingleDeviceSharding(chip)
  compiled = (
    jax.jit(lambda x, y: form(x, y, *shape, stride, padding))
    .lower(
      *(
        jax.ShapeDtypeStruct(each, np.float32, sharding=place)
        for each in arrays
      )
    )
    .compile()
  )
  costs = compiled.cost_analysis()
  least = 2 * images[0] * math.prod(sides) * size**2 * inputs * outputs
  return {
    'gflop': costs['flops'] / 1e9,
    'least_gflop': least / 1e9,
    'mb': costs['bytes accessed'] / 1e6,
    'least_mb': 4 * sum(map(math.prod, (images, kernel, result))) / 1e6,
  }


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  os.environ.update(tpu.ENVIRONMENT)
  (chip,) = tpu.describe_chips('v5e:1x1')
  measure = functools.partial(count, chip=chip)
  print(turns.describe_machine('jax', 'libtpu'))
  for case in _ONLY.value:
    print(case)
    for which, *layer in cases.find_layers(case):
      images, kernel, stride, _ = layer
      row = measure(which, *layer)
      size, _, inputs, outputs = kernel
      print(
        f'  {which:<8}{images[0]} x {images[1]:>3}  '
        f'{inputs:>4} -> {outputs:<4} k{size} s{stride}  '
        f'{row["gflop"]:8.2f} GFLOP, {row["gflop"] / row["least_gflop"]:6.2f} '
        f'of the least; {row["mb"]:8.1f} MB, '
        f'{row["mb"] / row["least_mb"]:5.2f} of the least',
        flush=True,
      )


if __name__ == '__main__':
  app.run(main)
