"""A cohort divided among processes that do not talk to each other."""

from collections.abc import Mapping
from collections.abc import Sequence
import re
from typing import NamedTuple
from typing import TypeVar

from cyclegan_jax import errors

_Thing = TypeVar('_Thing')
_GOLDEN = 0.6180339887498949  # of all numbers the farthest from fractions
_ADVICE = 'name the share of each process, --shard=I/N'


class Share(NamedTuple):
  """One of `count` parts of a list, which all processes have alike.

  Attributes:
    index: from 0.
    count: of all parts.
    origin: who says so, for people.
  """

  index: int
  count: int
  origin: str

  def __str__(self) -> str:
    return f'share {self.index}/{self.count} ({self.origin})'

  def pick(self, things: Sequence[_Thing]) -> list[_Thing]:
    """Its part, in the order of `things`.

    Of `count` neighbours every share gets one, so that a group of large scans
    is spread. Who gets the first one changes from row to row, without a period:
    else, of people with two scans each, one share of two would get all the
    first scans.
    """
    mine = []
    for start in range(0, len(things), self.count):
      turn = int(start // self.count * _GOLDEN % 1 * self.count)
      place = start + (self.index + turn) % self.count
      mine += things[place : place + 1]
    return mine


WHOLE = Share(0, 1, '')


def choose(flag: str | None, environment: Mapping[str, str]) -> Share:
  """The share of this process: as the user says, else as a scheduler does.

  Args:
    flag: 'I/N' with 0 <= I < N; None: to be told from the environment.
    environment: variables of this process.

  Raises:
    UserError: for a flag that is no share, or if a scheduler's cannot be told.
  """
  return derive(environment) if flag is None else _parse(flag)


def derive(environment: Mapping[str, str]) -> Share:
  """The share that SLURM or Open MPI gives this process; else the whole.

  A task of an array counts, a task of a step that `srun` or `mpirun` started
  counts, and an array of such steps is divided by both.

  Args:
    environment: variables of this process.

  Raises:
    UserError: if they do not tell which part of the whole it is.
  """
  array, task = _array_task(environment), _task(environment)
  return Share(
    array.index * task.count + task.index,
    array.count * task.count,
    ', '.join(each.origin for each in (array, task) if each.count > 1),
  )


def _parse(flag):
  found = re.fullmatch(r'(\d+)/(\d+)', flag, re.ASCII)
  index, count = map(int, found.groups()) if found else (0, 0)
  if index >= count:
    raise errors.UserError(
      f'--shard={flag}: write I/N with I from 0 to N - 1, such as --shard=0/4 '
      'to --shard=3/4'
    )
  return Share(index, count, '--shard')


def _array_task(environment):
  """Of a SLURM job array, whose ids may start anywhere and have any step."""
  if 'SLURM_ARRAY_TASK_ID' not in environment:
    return WHOLE
  task, first, last, count = (
    _number(environment, f'SLURM_ARRAY_TASK_{name}')
    for name in ('ID', 'MIN', 'MAX', 'COUNT')
  )
  step = _number(environment, 'SLURM_ARRAY_TASK_STEP', default=1)
  # Of ids such as 1,3,7 no task is told which of the three it is.
  even = step > 0 and (last - first) // step + 1 == count
  if not even or (task - first) % step or not first <= task <= last:
    raise errors.UserError(
      f'task {task} of a SLURM array of {count} from {first} to {last}, not '
      f'evenly spaced, cannot tell which of them it is; {_ADVICE}'
    )
  return Share((task - first) // step, count, f'SLURM array task {task}')


def _task(environment):
  """Of one parallel start; the processes of `mpirun` may be below `srun`'s."""
  if 'OMPI_COMM_WORLD_SIZE' in environment:
    rank, size = 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'
    kind = 'Open MPI rank'
  elif 'SLURM_STEP_NUM_TASKS' in environment:
    rank, size, kind = 'SLURM_PROCID', 'SLURM_STEP_NUM_TASKS', 'SLURM task'
  elif 'SLURM_STEP_NODELIST' in environment:
    rank, size, kind = 'SLURM_PROCID', 'SLURM_NTASKS', 'SLURM task'
  else:
    # A script or a shell may have been given many tasks: it is one process,
    # whatever SLURM_NTASKS says, until `srun` starts them.
    return WHOLE
  index, count = _number(environment, rank), _number(environment, size)
  if not 0 <= index < count:
    raise errors.UserError(f'{rank}={index} of {size}={count}; {_ADVICE}')
  return Share(index, count, f'{kind} {index}')


def _number(environment, name, *, default=None):
  value = environment.get(name, default)
  try:
    return int(value)
  except (TypeError, ValueError):
    is_what = 'is not set' if value is None else f'is {value!r}'
    raise errors.UserError(f'{name} {is_what}; {_ADVICE}') from None
