"""The report of a run as a page, made of the files that it has left."""

import pathlib

from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import places
from cyclegan_jax.pages import card
from cyclegan_jax.pages import report as report_page
from cyclegan_jax.pages import run_files


def report(workdir: str, *, target: str | None = None) -> pathlib.Path:
  """Writes report.html, and if it goes there MODEL_CARD.md, into the workdir.

  Args:
    workdir: of a run, or of several with commas between them.
    target: where the page goes; None: into the workdir.

  Returns:
    Where it is.

  Raises:
    UserError: if a workdir holds no run.
  """
  workdirs = [pathlib.Path(each) for each in workdir.split(',') if each]
  if not workdirs:
    raise errors.UserError(f'--workdir={workdir} names no folder of a run')
  alone = len(workdirs) == 1
  if target is None and not alone:
    raise errors.UserError(
      'a report of several runs needs --target=..., such as compare.html'
    )
  path = pathlib.Path(target) if target else workdirs[0] / 'report.html'
  places.check_page(str(path))
  runs = [run_files.read(each) for each in workdirs]
  report_page.write(runs, path)
  if target is None:  # else the workdir may be read only
    card.write(runs[0])
  console.say(f'report: {path}')
  return path
