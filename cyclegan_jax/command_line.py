"""Modes and flags; mistakes in them, each told in one line with status 2."""

from collections.abc import Callable
from collections.abc import Mapping
import sys
from typing import Any
from typing import NamedTuple
from typing import NoReturn

from absl import flags

_ADVICE = 'recipes are in configs/'


class Mode(NamedTuple):
  """What `--mode` can name.

  Attributes:
    entry: 'module:function', called with the flags by name; imported when it is
      known, for JAX takes seconds to import.
    help: what it does, in a line.
    check: called with the flags by name before that; raises `UserError`.
    required: the flags it cannot do without, and what to write after their `=`.
    optional: the other flags it takes.
  """

  entry: str
  help: str
  check: Callable[[Mapping[str, Any]], None]
  required: Mapping[str, str]
  optional: tuple[str, ...] = ()

  @property
  def flags(self) -> tuple[str, ...]:
    return (*self.required, *self.optional)


def describe(modes: Mapping[str, Mode]) -> str:
  """What the help of `--mode` says."""
  lines = [
    f'{name}: {mode.help}; needs '
    + ', '.join(f'--{flag}' for flag in mode.required)
    for name, mode in modes.items()
  ]
  return '\n'.join(['What to do.', *lines])


def parse(argv: list[str], modes: Mapping[str, Mode]) -> list[str]:
  """Parses flags; what `absl.app.run` takes for a `flags_parser`.

  Args:
    argv: the command line.
    modes: by name.
  """
  values = flags.FLAGS
  try:
    rest = values(argv)
    if len(rest) > 1:
      refuse(f'stray word {rest[1]!r}: flags are written --name=value')
    _check_mode(values, modes)
    if values['config'].value is not None:
      values['config'].value.to_dict()  # an absent file is noticed only here
  except OSError as error:
    reason = str(error).splitlines()[-1].strip()
    refuse(f'--config: {reason}; {_ADVICE}')
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
  except (flags.Error, ValueError, TypeError) as error:
    refuse(error)
  return rest


def refuse(error: object) -> NoReturn:
  """Prints a mistake in one line and exits with status 2."""
  line = ' '.join(str(error).split())
  print(f'launch.py: {line}', file=sys.stderr)
  sys.exit(2)


def _check_mode(values, modes):
  name = values['mode'].value
  mode = modes[name]
  for flag in mode.flags:
    if values[flag].value == '':
      refuse(f'--{flag}= is empty')
  for flag, example in mode.required.items():
    if values[flag].value is None:
      refuse(f'--mode={name} needs --{flag}={example}')
  for flag in sorted({flag for each in modes.values() for flag in each.flags}):
    if flag not in mode.flags and values[flag].present:
      refuse(f'--{flag} has no meaning with --mode={name}')
