"""What a step asks of each of 1, 8 and 64 devices, and of the network.

  python -m benchmarks.scaling
  python -m benchmarks.scaling --only=resnet:256:64:1 --devices=8

Compiles the data-parallel step of a case NETWORK:SIZE:FEATURES:BATCH, the batch
being that of one device, for so many virtual CPU devices, and counts in the
compiled program: operations and bytes touched on each device, and the bytes of
the collectives. Nothing is run. docs/performance.md makes predictions of it.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

from absl import app
from absl import flags

from benchmarks import cases
from benchmarks import turns

_ONLY = flags.DEFINE_string(
  'only', 'unet:256:64:1', 'The case, NETWORK:SIZE:FEATURES:BATCH.'
)
_DEVICES = flags.DEFINE_multi_integer('devices', [1, 8, 64], 'How many.')
_ROW = flags.DEFINE_bool('row', False, 'Print one row of numbers as JSON.')
_ROOT = pathlib.Path(__file__).parent.parent
_BYTES = {'f32': 4, 'bf16': 2, 's32': 4, 'u32': 4, 'pred': 1}


def count(case: str, devices: int) -> dict[str, float]:
  """The figures of a step on so many devices, which this process has."""
  import jax

  from cyclegan_jax.runtime import compiler
  from cyclegan_jax.runtime import devices as devices_lib

  step, create, batch = cases.make_step(case, pool_size=50)
  key = jax.random.key(0)
  batch = {
    domain: jax.ShapeDtypeStruct((devices, *like.shape), like.dtype)
    for domain, like in batch.items()
  }
  compiled = (
    devices_lib.data_parallel(step)
    .lower(jax.eval_shape(create, key), batch, key)
    .compile(compiler.options())
  )
  cost = compiled.cost_analysis()
  return {
    'devices': devices,
    'gflop': cost['flops'] / 1e9,
    'touched_gb': cost['bytes accessed'] / 1e9,
    'memory_mb': devices_lib.memory_needed(compiled) / 2**20,
    **{
      name: bytes_of(compiled.as_text(), name) / 2**20
      for name in ('all-reduce', 'all-gather')
    },
  }


def bytes_of(program: str, operation: str) -> int:
  """Bytes of all results of a collective in a program."""
  total = 0
  for line in program.splitlines():
    match = re.search(rf'= (.*?) {operation}(-start)?\(', line)
    for kind, shape in re.findall(
      r'(\w+)\[([\d,]*)\]', match[1] if match else ''
    ):
      elements = 1
      for side in filter(None, shape.split(',')):
        elements *= int(side)
      total += elements * _BYTES[kind]
  return total


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  if _ROW.value:
    (devices,) = _DEVICES.value
    print(json.dumps(count(_ONLY.value, devices)))
    return
  print(turns.describe_machine('jax'))
  print(_ONLY.value)
  print(
    f'{"devices":>8}{"GFLOP":>9}{"GB touched":>12}{"MiB needed":>12}'
    f'{"MiB all-reduce":>16}{"MiB all-gather":>16}   on each device'
  )
  for devices in _DEVICES.value:
    virtual = f'--xla_force_host_platform_device_count={devices}'
    result = subprocess.run(
      [
        *(sys.executable, '-m', 'benchmarks.scaling', '--row'),
        *(f'--only={_ONLY.value}', f'--devices={devices}'),
      ],
      cwd=_ROOT,
      env=os.environ | {'XLA_FLAGS': virtual, 'JAX_PLATFORMS': 'cpu'},
      stdout=subprocess.PIPE,
      text=True,
      check=True,
    )
    row = json.loads(result.stdout)
    print(
      f'{devices:>8}{row["gflop"]:>9.1f}{row["touched_gb"]:>12.1f}'
      f'{row["memory_mb"]:>12.0f}{row["all-reduce"]:>16.1f}'
      f'{row["all-gather"]:>16.1f}',
      flush=True,
    )


if __name__ == '__main__':
  app.run(main)
