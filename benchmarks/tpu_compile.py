"""What the TPU's compiler makes of the step of each recipe; no TPU is needed.

  pip install "jax[tpu]"
  python -m benchmarks.tpu_compile --recipes=t1t2,t1t2_best --json=rows.jsonl

For abstract chips of a topology the step is lowered under `shard_map`, one
image on each chip, and compiled: whether it compiles, what it takes of a chip's
memory, operations and bytes as the compiler counts them, what chips tell each
other, and which gathers and scatters are left. Compiled, and not run.

Each case is compiled in a process of its own, which ends after `--minutes`; a
row that is in the file of `--json` already is not made again.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import time

from absl import app
from absl import flags

from benchmarks import tpu
from benchmarks import turns

_CHIPS = {'v5e:1x1': 16, 'v5e:2x2': 16, 'v5e:4x4': 16, 'v6e:2x2': 32}  # GiB
_COLLECTIVES = ('all-reduce', 'all-gather', 'reduce-scatter', 'all-to-all')
_SIZES = {'pred': 1, 'bf16': 2, 'f32': 4, 's32': 4, 'u32': 4}

_RECIPES = flags.DEFINE_list(
  'recipes', ['quickstart', 't1t2', 't1t2_best', 't1t2_resnet'], 'Of configs/.'
)
_TOPOLOGIES = flags.DEFINE_list('topologies', list(_CHIPS), 'KIND:CHIPS.')
_SET = flags.DEFINE_multi_string('set', [], 'FIELD=VALUE of the recipes.')
_BATCH = flags.DEFINE_integer('batch', 1, 'Images on each chip.')
_MINUTES = flags.DEFINE_integer('minutes', 60, 'For one case.')
_JSON = flags.DEFINE_string('json', 'runs/tpu.jsonl', 'Where rows go.')


def main(argv):
  if len(argv) == 3:
    print(json.dumps(compile_case(*argv[1:])))
    return
  rows = pathlib.Path(_JSON.value)
  rows.parent.mkdir(parents=True, exist_ok=True)
  lines = rows.read_text().splitlines() if rows.exists() else []
  done = list(map(json.loads, lines))
  print(turns.describe_machine('jax', 'libtpu', 'flax'))
  for recipe in _RECIPES.value:
    for topology in _TOPOLOGIES.value:
      case = {'recipe': recipe, 'topology': topology, 'set': _SET.value}
      case |= {'batch': _BATCH.value}
      if any(case.items() <= row.items() for row in done):
        continue
      row = case | _measure(recipe, topology)
      with rows.open('a') as file:
        file.write(json.dumps(row) + '\n')
      print(json.dumps(row), flush=True)


def _measure(recipe, topology):
  command = [sys.executable, '-m', 'benchmarks.tpu_compile', recipe, topology]
  command += [f'--set={each}' for each in _SET.value]
  try:
    done = subprocess.run(
      [*command, f'--batch={_BATCH.value}'],
      env=os.environ | tpu.ENVIRONMENT,
      capture_output=True,
      text=True,
      timeout=60 * _MINUTES.value,
      check=False,
    )
  except subprocess.TimeoutExpired:
    return {'error': f'not compiled within {_MINUTES.value} minutes'}
  if done.returncode:
    return {'error': done.stderr.strip().splitlines()[-1][:300]}
  return json.loads(done.stdout.splitlines()[-1])


def compile_case(recipe: str, topology: str) -> dict:
  """Compiles, and says what has come of it."""
  import importlib

  import jax
  import numpy as np

  from cyclegan_jax import build
  from cyclegan_jax import stored_config
  from cyclegan_jax.networks import convolution
  from cyclegan_jax.runtime import devices

  # The form is chosen by the backend of this process, which is a CPU's.
  convolution.choose_form = lambda *args: 'direct'
  config = importlib.import_module(f'configs.{recipe}').get_config()
  for each in _SET.value:
    name, _, value = each.partition('=')
    config.update_from_flattened_dict({name: json.loads(value)})
  chips = tpu.describe_chips(topology)
  mesh = jax.sharding.Mesh(np.array(chips), (devices.AXIS,))
  everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  spread = jax.sharding.NamedSharding(
    mesh, jax.sharding.PartitionSpec(devices.AXIS)
  )

  def place(tree, sharding):
    return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
    )

  create = build.create_state(
    config, build.networks(config), build.schedule(config, steps_per_epoch=1000)
  )
  side = config.image_size
  channels = stored_config.input_channels(config)
  shape = (len(chips), _BATCH.value, side, side, channels)
  image = jax.ShapeDtypeStruct(shape, np.float32)
  inputs = (
    place(jax.eval_shape(create), everywhere),
    place({'a': image, 'b': image}, spread),
    place(jax.eval_shape(lambda: jax.random.key(0)), everywhere),
  )
  step = devices.data_parallel(
    build.train_step(config), kind='shard_map', mesh=mesh
  )
  start = time.perf_counter()
  lowered = step.lower(*inputs)
  traced = time.perf_counter()
  compiled = lowered.compile()
  ended = time.perf_counter()
  costs = compiled.cost_analysis() or {}
  needed = devices.memory_needed(compiled)
  return {
    'chips': len(chips),
    'chip': chips[0].device_kind,
    'trace_s': round(traced - start),
    'compile_s': round(ended - traced),
    'mib': None if needed is None else round(needed / 2**20),
    'mib_of_chip': 1024 * _CHIPS[topology] if topology in _CHIPS else None,
    'gflop': round(costs.get('flops', 0) / 1e9, 1),
    'gb_accessed': round(costs.get('bytes accessed', 0) / 1e9, 2),
    **read_program(compiled.as_text()),
  }


def read_program(text: str) -> dict:
  """What is in a compiled program, in the compiler's words.

  Args:
    text: of the optimised HLO.

  Returns:
    'collectives': of each kind, how many and the MiB of their results; those
    that are split into a start and an end are 'overlapped'. 'lookups': gathers
    and scatters by the layer that they are of.
  """
  collectives = collections.defaultdict(lambda: [0, 0.0, 0])
  lookups = collections.Counter()
  for line in text.splitlines():
    found = re.match(r'\s*(?:ROOT )?%?\S+ = (.*?) ([a-z-]+)\(', line)
    if not found:
      continue
    result, operation = found.groups()
    kind = operation.removesuffix('-start')
    if kind in _COLLECTIVES:
      own = collectives[kind]
      own[0] += 1
      own[1] += _count_bytes(result) / 2**20
      own[2] += operation.endswith('-start')
    elif operation in ('gather', 'scatter'):
      named = re.search(r'op_name="([^"]*)"', line)
      lookups[f'{operation} {named[1] if named else ""}'] += 1
  return {
    'collectives': {
      kind: {'count': count, 'mib': round(mib, 1), 'overlapped': overlapped}
      for kind, (count, mib, overlapped) in collectives.items()
    },
    'lookups': dict(lookups),
  }


def _count_bytes(result):
  """Of a type such as '(f32[3,3]{1,0}, f32[])'."""
  total = 0
  for kind, sides in re.findall(r'(\w+)\[([\d,]*)\]', result):
    size = 1
    for side in filter(None, sides.split(',')):
      size *= int(side)
    total += size * _SIZES.get(kind, 4)
  return total


if __name__ == '__main__':
  app.run(main)
