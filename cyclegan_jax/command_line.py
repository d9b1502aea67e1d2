"""Mistakes in flags, each told in one line with status 2."""

from collections.abc import Mapping
from collections.abc import Sequence
import sys
from typing import NoReturn

from absl import flags


def parse(
  argv: list[str],
  modes: Mapping[str, Sequence[str]],
  required: Sequence[str],
) -> list[str]:
  """Parses flags; what `absl.app.run` takes for a `flags_parser`.

  Args:
    argv: the command line.
    modes: flags that each mode takes besides --mode and --workdir.
    required: which of them a mode cannot do without.
  """
  values = flags.FLAGS
  try:
    rest = values(argv)
    if len(rest) > 1:
      refuse(f'stray word {rest[1]!r}: flags are written --name=value')
    _check_mode(values, modes, required)
    if values['config'].value is not None:
      values['config'].value.to_dict()  # an absent file is noticed only here
  except (AttributeError, KeyError) as error:
    # "'name'", perhaps with a line: Did you mean "other" instead of "name"?
    # inside an AttributeError it is the argument of a KeyError.
    cause = error.args[0] if isinstance(error.args[0], KeyError) else error
    name, *hint = str(cause.args[0]).split('\n')
    name = name.strip("'")
    wrong = [arg for arg in argv if f'.{name}=' in arg]
    if not wrong:
      raise
    refuse(f'{wrong[0]}: there is no such field. {" ".join(hint)}'.rstrip())
  except OSError as error:
    reason = str(error).splitlines()[-1].strip()
    refuse(f'--config: {reason}; recipes are in configs/')
  except (flags.Error, ValueError, TypeError) as error:
    refuse(error)
  return rest


def refuse(error: object) -> NoReturn:
  """Prints a mistake in one line and exits with status 2."""
  line = ' '.join(str(error).split())
  print(f'launch.py: {line}', file=sys.stderr)
  sys.exit(2)


def _check_mode(values, modes, required):
  mode = values['mode'].value
  taken = modes[mode]
  if 'config' not in taken and values['workdir'].value is None:
    refuse(f'--mode={mode} needs --workdir=W, the folder of a run')
  for name in taken:
    if values[name].value == '':
      refuse(f'--{name}= is empty')
    if name in required and values[name].value is None:
      hint = ', such as configs/quickstart.py' * (name == 'config')
      refuse(f'--mode={mode} needs --{name}=...{hint}')
  for name in sorted({name for names in modes.values() for name in names}):
    if name not in taken and values[name].present:
      refuse(f'--{name} has no meaning with --mode={mode}')
