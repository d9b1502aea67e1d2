"""What a run has kept, and where; without JAX: a wrong name is told at once.

A workdir has folders of checkpoints, named by their steps. In its place there
may be a file of `--mode=pack`, which holds one.
"""

import pathlib

from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax.runtime import packed

# Folders of a workdir: to go on from, and the one `monitor` thinks best.
KINDS = {'newest': 'checkpoints', 'best': 'best'}
PARTIAL = '.orbax-checkpoint-tmp'  # in the name of what is being written


def find(workdir: str | pathlib.Path, which: str = 'newest') -> pathlib.Path:
  """Where a checkpoint is: its folder, or the file that holds it.

  Args:
    workdir: of a run; or a file of `--mode=pack`.
    which: one of `KINDS`, the last of its kind; or a step.

  Raises:
    UserError: if there is none, naming those that there are.
  """
  place = pathlib.Path(workdir)
  if place.is_file():
    return _find_packed(place, which)
  if which not in KINDS:
    return _find_step(place, which)
  steps = list_kind(place, which)
  if not steps:
    hint = (
      ': none is chosen before the first evaluation, '
      '--config.evaluate_every_steps; use --checkpoint=newest'
    )
    raise errors.UserError(
      f'{workdir} has no {which} checkpoint' + (hint if which == 'best' else '')
    )
  return steps[-1]


def list_kind(workdir: pathlib.Path, kind: str) -> list[pathlib.Path]:
  """Folders of the checkpoints of one of `KINDS`, by step."""
  return files.list_numbered((workdir / KINDS[kind]).absolute())


def make_home(workdir: str | pathlib.Path) -> pathlib.Path:
  """The folder for what is written of a run: the workdir, or one beside a file.

  Not named as the file alone: `runs/mine.zip` may lie beside `runs/mine`.
  """
  place = pathlib.Path(workdir)
  if place.is_file():
    place = place.with_suffix('.results')
    place.mkdir(exist_ok=True)
  return place


def _find_step(workdir, which):
  there = {
    kind: {int(path.name): path for path in list_kind(workdir, kind)}
    for kind in KINDS
  }
  if which.isdecimal():
    for steps in there.values():
      if int(which) in steps:
        return steps[int(which)]
  named = [
    ', '.join(map(str, steps)) + (' (best)' if kind == 'best' else '')
    for kind, steps in there.items()
    if steps
  ]
  raise errors.UserError(
    f'--checkpoint={which}: {workdir} holds no such checkpoint; name newest, '
    f'best, or one of the steps {" and ".join(named) or "that there are: none"}'
  )


def _find_packed(path, which):
  step = packed.read_meta(path)['step']
  if which not in ('newest', str(step)):
    raise errors.UserError(
      f'--checkpoint={which}: {path} holds one checkpoint alone, of step {step}'
    )
  return path
