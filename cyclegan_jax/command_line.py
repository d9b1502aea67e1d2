"""Modes and flags; mistakes in them, each told in one line with status 2."""

from collections.abc import Callable
from collections.abc import Mapping
import errno
import os
import re
import sys
import traceback
from typing import Any
from typing import NamedTuple
from typing import NoReturn

from absl import flags

from cyclegan_jax import console

_ADVICE = 'recipes are in configs/'
# Full, over a quota, broken, gone, read-only, somebody else's.
_DISK = (
  errno.ENOSPC,
  errno.EDQUOT,
  errno.EIO,
  errno.ESTALE,
  errno.EROFS,
  errno.EACCES,
  errno.EPERM,
  errno.ETIMEDOUT,
  errno.EFBIG,
)


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
      _split_lists(values['config'].value)
  except BrokenPipeError:  # of --help into head
    leave()
  except OSError as error:
    recipe = _find_recipe(argv)
    reason = str(error).splitlines()[-1].strip()
    if os.path.isdir(recipe):
      reason = f'{recipe} is a folder, and no recipe'
    refuse(f'--config: {reason}; {_ADVICE}')
  except Exception as error:  # a recipe is a program: it can raise anything
    line = _explain(error, argv)
    if not line:
      raise
    refuse(line)
  return rest


def refuse(error: object) -> NoReturn:
  """Prints a mistake in one line and exits with status 2."""
  end(error, status=2)


def end(error: object, *, status: int, at_once: bool = False) -> NoReturn:
  """Prints a line, if there is one to tell, and exits.

  One of several processes leaves at once: a proper exit waits for the others.

  Args:
    error: what is to be told.
    status: of the process.
    at_once: whether JAX may be at work: a proper exit can crash then.
  """
  line = ' '.join(str(error).split())
  jax: Any = sys.modules.get('jax')  # a flag is refused without it
  together = jax if jax and jax.distributed.is_initialized() else None
  name = console.name_program()
  if together and together.process_index():
    name += f', process {together.process_index()}'
    name += f' of {together.process_count()}'
  if line:
    print(f'{name}: {line}', file=sys.stderr)
  if together or at_once:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
  sys.exit(status)


def leave() -> NoReturn:
  """Exits where nobody reads what is told: silently, as others do."""
  # What is still to be written at the exit would be told as an error.
  os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  sys.exit(1)


def explain_disk(error: Exception) -> str:
  """What is wrong with a disk, in a line; empty if it is something else."""
  if not isinstance(error, OSError) or error.errno not in _DISK:
    return ''
  place = f'{error.filename}: ' if error.filename else ''
  return f'{place}{error.strerror}; the same command goes on from what is done'


def _split_lists(section):
  """Makes 'T1w,FLAIR' two names where a config has several."""
  for name, value in section.items():
    if hasattr(value, 'items'):
      _split_lists(value)
    elif (
      isinstance(value, tuple)
      and len(value) == 1
      and isinstance(value[0], str)
      and ',' in value[0]
    ):
      section[name] = tuple(map(str.strip, value[0].split(',')))


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


def _explain(error, argv):
  """What a person did wrong, in a line; None if it is not a person's fault."""
  recipe = _find_recipe(argv)
  if isinstance(error, ModuleNotFoundError) and error.name == 'configs':
    return (
      f'--config={recipe} is of a checkout, and needs it: '
      f'python launch.py --config={recipe} there'
    )
  if isinstance(error, SyntaxError) and error.filename in (recipe, None):
    where = f'line {error.lineno}: ' if error.filename else ''
    return f'--config={recipe} is no recipe: {where}{error.msg}; {_ADVICE}'
  for frame in reversed(traceback.extract_tb(error.__traceback__)):
    if recipe and os.path.abspath(frame.filename) == os.path.abspath(recipe):
      return (
        f'--config={recipe}, line {frame.lineno}: {type(error).__name__}: '
        f'{_unpack(error)}'
      )
  if isinstance(error, AttributeError) and error.name == 'get_config':
    return f'--config={recipe} is no recipe: it has no get_config(); {_ADVICE}'
  if isinstance(error, (AttributeError, KeyError)):
    return _name_field(error, argv)
  if isinstance(error, (flags.Error, ValueError, TypeError)):
    return str(error)
  return None


def _name_field(error, argv):
  """The word of the command line that names a field which does not exist."""
  name, *hint = _unpack(error).split('\n')
  name = name.strip("'")
  words = []
  for word in argv:
    # --config.remat=True, --config.remat True, --config.remat, --noconfig.remat
    found = re.match(r'--?(?:no)?config\.([^=]+)', word)
    if not found:
      continue
    field = found.group(1)
    if name in field.split('.') or name.endswith(f'lookup: {field}'):
      words.append(word)
  if not words:
    return None
  # Of seed and phantom.seed all that is known is that one has no 'seed'.
  return (
    f'{" or ".join(words)}: there is no such field. {" ".join(hint)}'.rstrip()
  )


def _unpack(error):
  """What a KeyError says: "'name'", perhaps with a line, Did you mean ...?

  Inside an AttributeError it is the argument of a KeyError.
  """
  inner = error.args[0] if error.args else error
  if isinstance(inner, KeyError):
    inner = inner.args[0]
  return str(inner)


def _find_recipe(argv):
  """The file that --config names; empty without any."""
  for word, following in zip(argv, [*argv[1:], ''], strict=True):
    flag, equals, value = word.partition('=')
    if flag.lstrip('-') == 'config':
      # What follows a colon is the recipe's own argument.
      return (value if equals else following).split(':')[0]
  return ''
