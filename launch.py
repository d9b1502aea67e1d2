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
      _refuse(f'stray word {rest[1]!r}: flags are written --name=value')
    if _CONFIG.value is None:
      _refuse('name a recipe, such as --config=configs/quickstart.py')
    _CONFIG.value.to_dict()  # an absent file is noticed only here
  except (AttributeError, KeyError) as error:
    # "'name'", perhaps with a line: Did you mean "other" instead of "name"?
    # inside an AttributeError it is the argument of a KeyError.
    cause = error.args[0] if isinstance(error.args[0], KeyError) else error
    name, *hint = str(cause.args[0]).split('\n')
    name = name.strip("'")
    wrong = [arg for arg in argv if f'.{name}=' in arg]
    if not wrong:
      raise
    _refuse(f'{wrong[0]}: there is no such field. {" ".join(hint)}'.rstrip())
  except OSError as error:
    reason = str(error).splitlines()[-1].strip()
    _refuse(f'--config: {reason}; recipes are in configs/')
  except (flags.Error, ValueError, TypeError) as error:
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
      'launch.py: interrupted; the same command resumes from the last '
      'checkpoint, if there is one'
    )


def _refuse(error):
  line = ' '.join(str(error).split())
  print(f'launch.py: {line}', file=sys.stderr)
  sys.exit(2)


if __name__ == '__main__':
  app.run(main, flags_parser=parse)
