"""What a training reaches where convolutions read rounded numbers.

  python -m benchmarks.precision
  python -m benchmarks.precision --kinds=tf32 --target=runs/precision

Trains `configs/quickstart.py` once a kind, in a process of its own, and prints
the held-out scores of both directions. A CPU computes float32; what a GPU
(TF32) and a TPU (bfloat16) do by default is emulated: what a convolution or one
of its gradients reads is rounded to 10 or 7 bits of mantissa, and summed in
float32, as they do. What is translated to be scored is rounded too, though
`precision.exactly` has it computed in float32 there: the worse case.
"""

import json
import pathlib
import subprocess
import sys

from absl import app
from absl import flags

from benchmarks import turns

_BITS = {'float32': 23, 'tf32': 10, 'bfloat16': 7}

_KINDS = flags.DEFINE_list('kinds', list(_BITS), 'Of these.')
_TARGET = flags.DEFINE_string('target', 'runs/precision', 'Of the runs.')


def main(argv):
  if len(argv) > 1 or not set(_KINDS.value) <= _BITS.keys():
    raise app.UsageError(f'--kinds={",".join(_KINDS.value)}: of {list(_BITS)}')
  if len(_KINDS.value) == 1:
    (kind,) = _KINDS.value
    train(kind, pathlib.Path(_TARGET.value) / kind)
    return
  print(turns.describe_machine('jax', 'flax', 'optax'))
  for kind in _KINDS.value:  # what is compiled is kept by its process
    command = (sys.executable, '-m', 'benchmarks.precision', f'--kinds={kind}')
    subprocess.run([*command, f'--target={_TARGET.value}'], check=True)


def train(kind: str, workdir: pathlib.Path):
  """Trains, and prints a line of JSON."""
  from cyclegan_jax.runtime import host

  host.tune()
  from configs import quickstart
  from cyclegan_jax import train as train_lib

  emulate(_BITS[kind])
  train_lib.train(quickstart.get_config(), str(workdir))
  report = json.loads((workdir / 'held_out.json').read_text())
  scores = {
    direction: {
      measure: round(report[direction][measure]['mean'], 3)
      for measure in ('psnr', 'ssim')
    }
    for direction in ('ab', 'ba')
  }
  print(json.dumps({'kind': kind} | scores), flush=True)


def emulate(bits: int):
  """Has all convolutions read numbers of so many bits, from here on."""
  from jax import lax

  from cyclegan_jax.networks import convolution_forms

  def wrap(form):
    def rounded(first, second, *rest):
      read = (lax.reduce_precision(x, 8, bits) for x in (first, second))
      return form(*read, *rest)

    return rounded

  for own in convolution_forms.FORMS.values():
    own.update({name: wrap(form) for name, form in own.items()})


if __name__ == '__main__':
  app.run(main)
