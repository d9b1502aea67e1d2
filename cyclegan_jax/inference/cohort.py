"""Many scans, one after the other: what is done, left, failed is told."""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import pathlib
import re

from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax.inference import plan as plan_lib
from cyclegan_jax.inference import shares

# One scan, with `report(done, total)`; False: another process was faster.
TranslateScan = Callable[..., bool]

_LIST = 'translation_failures'


def open_list(target: pathlib.Path, share: shares.Share) -> pathlib.Path:
  """The file for the failures of a share; what it held is tried again.

  So are, by somebody, those in the lists of another number of shares: they go.
  Lists of the other shares of this number stay, for these may be running.
  """
  parts = f'-of-{share.count}.txt' if share.count > 1 else '.txt'
  own = f'{_LIST}-{share.index}{parts}' if share.count > 1 else _LIST + parts
  for path in target.glob(f'{_LIST}*.txt'):
    sibling = re.fullmatch(rf'{_LIST}-\d+{re.escape(parts)}', path.name)
    if path.name == own or not sibling:
      path.unlink(missing_ok=True)
  return target / own


def translate_all(
  todo: Sequence[plan_lib.Job],
  translate_scan: TranslateScan,
  *,
  failures: pathlib.Path,
) -> list[str]:
  """Goes through jobs; whatever is wrong with one, the others do not suffer.

  Args:
    todo: the jobs.
    translate_scan: one of them.
    failures: a file, there whenever anything has failed.

  Returns:
    What failed, a line each.
  """
  done, met, failed = 0, 0, []
  stack = contextlib.ExitStack()
  try:
    start = stack.enter_context(console.follow(len(todo)))
    for number, job in enumerate(todo, 1):
      count = f'{number} of {len(todo)}: '
      try:
        made = translate_scan(job, report=start(number, job.scan.name))
      except Exception as error:
        failed.append(' '.join(_explain(job, error).split()))
        console.say(f'{count}failed: {failed[-1]}')
        with files.replace_file(failures) as partial:
          partial.write_text('\n'.join([*failed, '']))
        continue
      done, met = done + made, met + (not made)
      by = '' if made else ', made by another process meanwhile'
      console.say(f'{count}{job.target}{by}')
  finally:  # however it ends, unless it is killed
    stack.close()
    left = len(todo) - done - met - len(failed)
    others = f', {met} by another process' if met else ''
    console.say(f'{done} translated{others}, {len(failed)} failed, {left} left')
  return failed


def _explain(job, error):
  if isinstance(error, errors.UserError):
    return str(error)
  if isinstance(error, OSError) and error.strerror:  # a disk's, most often
    return f'{error.filename or job.target}: {error.strerror}'
  return f'{job.scan.place}: {error!r}'
