"""How soon a training run reaches its first step, at first and ever after.

  python -m benchmarks.start
  python -m benchmarks.start --config=configs/t1t2.py --size=128

The real command line, twice, with a compilation cache of its own: the first
start compiles, the second finds everything. Seconds from the command to the
line of its first step; the simulated heads are made beforehand, and contrast
maps fitted to them.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

from absl import app
from absl import flags

from benchmarks import turns

_CONFIG = flags.DEFINE_string('config', 'configs/quickstart.py', 'The recipe.')
_SIZE = flags.DEFINE_integer('size', 64, 'image_size.')
_ROOT = pathlib.Path(__file__).parent.parent
_IMPORTS = """
from cyclegan_jax.runtime import host
with host.importing():
  import cyclegan_jax.cli, cyclegan_jax.train
"""


def start(workdir, cache, compiled):
  """Seconds to the first step of a new run."""
  variables = {k: v for k, v in os.environ.items() if 'JAX' not in k}
  command = [
    sys.executable,
    'launch.py',
    f'--config={_CONFIG.value}',
    f'--workdir={workdir}',
    f'--config.image_size={_SIZE.value}',
    '--config.log_every_steps=1',
    '--config.max_steps=2',
    f'--config.compile_cache={compiled}',
    f'--config.data.cache={cache}',
  ]
  begin = time.perf_counter()
  with subprocess.Popen(
    command, cwd=_ROOT, env=variables, stdout=subprocess.PIPE, text=True
  ) as process:
    for line in process.stdout:
      if line.startswith('step 1/'):
        seconds = time.perf_counter() - begin
  if process.returncode:
    raise SystemExit(f'{" ".join(command)}: exit status {process.returncode}')
  return seconds


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  print(turns.describe_machine('jax', 'flax', 'orbax-checkpoint'))
  begin = time.perf_counter()
  subprocess.run([sys.executable, '-c', _IMPORTS], cwd=_ROOT, check=True)
  print(f'imports {time.perf_counter() - begin:.1f} s')
  with tempfile.TemporaryDirectory() as root:
    root = pathlib.Path(root)
    start(root / 'heads', root / 'cache', root / 'other')
    first, second = (
      start(root / name, root / 'cache', root / 'compiled')
      for name in ('first', 'second')
    )
  print(
    f'{_CONFIG.value} at {_SIZE.value} pixels: first step after {first:.1f} s, '
    f'at the second start after {second:.1f} s; ratio {first / second:.1f}'
  )


if __name__ == '__main__':
  app.run(main)
