"""Command line: flags and a dispatch table.

  python launch.py --config=configs/quickstart.py
  python launch.py --config=configs/t1t2.py --config.data.train_a=DIR_A \
      --config.data.train_b=DIR_B --workdir=W

Exit status: 0 done; 2 a mistake in a flag, a path or a file, told in one line;
1 anything else that stopped the run, the cause in the last line.
"""

import importlib
import os
import pathlib
import sys

from absl import app
from absl import flags
from absl import logging
from ml_collections import config_flags

from cyclegan_jax import checks
from cyclegan_jax import errors

# The module is imported when its mode is known: JAX takes seconds to import.
MODES = {'train': 'cyclegan_jax.train'}

_CONFIG = config_flags.DEFINE_config_file(
  'config', None, 'A recipe, such as configs/quickstart.py.', lock_config=True
)
_MODE = flags.DEFINE_enum('mode', 'train', list(MODES), 'What to do.')
_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Where the run is kept. Default: runs/<config name>.'
)


def parse(argv: list[str]) -> list[str]:
  """Parses flags; every mistake ends with one line and status 2."""
  try:
    rest = flags.FLAGS(argv)
    if len(rest) > 1:
      raise errors.UserError(
        f'stray word {rest[1]!r}: flags are written --name=value'
      )
    if _CONFIG.value is None:
      raise errors.UserError(
        'name a recipe, such as --config=configs/quickstart.py'
      )
  except errors.UserError as error:
    _refuse(error)
  except FileNotFoundError as error:
    _refuse(f'--config: there is no file {error.filename}')
  except (
    flags.Error,
    AttributeError,
    KeyError,
    ValueError,
    TypeError,
  ) as error:
    _refuse(error)
  return rest


def main(argv):
  del argv
  logging.set_verbosity(logging.WARNING)  # libraries tell every rename
  config = _CONFIG.value
  recipe = config_flags.get_config_filename(flags.FLAGS['config'])
  workdir = _WORKDIR.value or os.path.join('runs', pathlib.Path(recipe).stem)
  try:
    checks.check(config, workdir)
    mode = importlib.import_module(MODES[_MODE.value])
    getattr(mode, _MODE.value)(config, workdir)
  except errors.UserError as error:
    _refuse(error)
  except (errors.Interrupted, FloatingPointError) as error:
    sys.exit(f'launch.py: {error}')
  except KeyboardInterrupt:
    sys.exit(
      'launch.py: interrupted at once; the same command resumes from '
      'the last checkpoint'
    )


def _refuse(error):
  line = ' '.join(str(error).split())
  print(f'launch.py: {line}', file=sys.stderr)
  sys.exit(2)


if __name__ == '__main__':
  app.run(main, flags_parser=parse)
