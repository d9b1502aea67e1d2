"""What a workdir tells of its run; only read, and without JAX."""

from collections.abc import Iterator
import dataclasses
import importlib
import json
import pathlib
from typing import Any

from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax.reporting import description as description_lib
from cyclegan_jax.reporting import rewind

_SCORES = ('evaluation', 'held_out')
_EQUILIBRIUM = {'bce': 0.693, 'lsgan': 0.25}


@dataclasses.dataclass(frozen=True)
class RunFiles:
  """What is known of a run; older runs lack some of it.

  Attributes:
    workdir: where it is.
    recipe: the fields of its config, nested dicts.
    versions: of the packages, by name.
    git_revision: of the checkout, if known.
    facts: `summary.describe_run`, and what was added at the end.
    steps: lines of the log, averages over some steps each.
    evaluations: lines of measures without pairs and of held-out pairs.
    warnings: lines told while training.
    scores: evaluation.json or held_out.json, see `_choose_scores`; or None.
    scored_by: which of them, 'evaluation' or 'held_out'.
    best: step of the checkpoint kept for its looks, if there is one.
    samples: (step, path) of the sample grids, in order.
    chosen: step of the checkpoint that is told of; None: of the whole run.
  """

  workdir: pathlib.Path
  recipe: dict
  versions: dict[str, str]
  git_revision: str | None
  facts: dict[str, Any]
  steps: list[dict]
  evaluations: list[dict]
  warnings: list[dict]
  scores: dict | None
  scored_by: str | None
  best: int | None
  samples: list[tuple[int, pathlib.Path]]
  chosen: int | None = None

  @property
  def name(self) -> str:
    return self.workdir.resolve().name

  @property
  def domains(self) -> tuple[str, str]:
    a, b = self.recipe['domains']
    return a, b

  @property
  def step(self) -> int:
    """Done, as far as the log tells, or by the checkpoint told of."""
    if self.chosen is not None:
      return self.chosen
    lines = (*self.steps, *self.evaluations)
    return max((line['step'] for line in lines), default=0)

  @property
  def equilibrium(self) -> float:
    """A discriminator's loss where it cannot tell real from made."""
    return _EQUILIBRIUM[self.recipe['loss']['kind']]

  @property
  def imported(self) -> bool:
    """Whether another program has trained it."""
    return bool(self.facts.get('imported'))

  @property
  def title(self) -> str:
    """What it translates, for people."""
    ways = [
      ' to '.join(self.names(direction))
      for direction in ('ab', 'ba')
      if not self.imported or f'gen_{direction}' in self.facts['imported']
    ]
    return f'{ways[0]} and back' if len(ways) > 1 else ways[0]

  def names(self, direction: str) -> tuple[str, str]:
    """Of the source's and the target's contrast."""
    a, b = self.domains
    return (a, b) if direction == 'ab' else (b, a)

  def pictures(self) -> Iterator[tuple[str, pathlib.Path]]:
    """(direction, path) of the pictures that go with the scores."""
    for direction in ('ab', 'ba'):
      path = self.workdir / f'{self.scored_by}_{direction}.png'
      if path.exists():
        yield direction, path

  def changes(self) -> dict[str, tuple[Any, Any]] | None:
    """Fields that differ from the defaults: (default, here), by dotted name.

    None where the recipes are not at hand, without a checkout. Where the data
    lie is left out.
    """
    defaults = read_defaults(self.recipe['generator'].get('network'))
    if defaults is None:
      return None
    changes = checks.find_changes(defaults, self.recipe)
    return {name: x for name, x in changes.items() if not is_place(name)}


def read(workdir: pathlib.Path, step: int | None = None) -> RunFiles:
  """Reads the files of a run.

  Args:
    workdir: of the run.
    step: of a checkpoint, for what is said of it alone: its own scores.

  Raises:
    UserError: if it is none.
  """
  description = description_lib.read(workdir)
  if not description:
    raise errors.UserError(
      f'--workdir={workdir} holds no config.json that can be read; name the '
      'folder of a run'
    )
  lines = rewind.read_lines(workdir / 'metrics.jsonl')
  found = files.list_numbered(workdir / 'best')
  best = int(found[-1].name) if found else None
  scored_by, scores = _choose_scores(workdir, best, step)
  return RunFiles(
    workdir=workdir,
    recipe=description['config'],
    versions=description.get('versions', {}),
    git_revision=description.get('git_revision'),
    facts=description.get('facts', {}),
    steps=[line for line in lines if line['kind'] == 'step'],
    evaluations=[line for line in lines if line['kind'] == 'evaluation'],
    warnings=[line for line in lines if line['kind'] == 'warning'],
    scores=scores,
    scored_by=scored_by,
    best=best,
    samples=rewind.list_samples(workdir),
    chosen=step,
  )


def read_defaults(network: str | None) -> dict | None:
  """The fields of configs/default.py with this network; None if not there."""
  try:
    default = importlib.import_module('configs.default')
  except ImportError:
    return None
  fields = json.loads(json.dumps(default.get_config().to_dict()))
  if network == 'resnet':
    fields['generator'] = default.resnet().to_dict()
  return fields


def is_place(name: str) -> bool:
  """Whether a field names a folder, which can tell of people."""
  return name.startswith(('data.train_', 'data.test_')) or name in (
    *('data.cache', 'compile_cache', 'distributed', 'start_from'),
  )


def _choose_scores(workdir, best, step):
  """The name and content of the scores to show.

  Those that somebody asked for, unless training has gone on since and scored
  itself: then they are of a checkpoint that is neither the last nor the best.
  """
  found = {
    name: _read_scores(workdir / f'{name}.json')
    for name in _SCORES
    if (workdir / f'{name}.json').exists()
  }
  if step is not None:
    found = {n: each for n, each in found.items() if each['checkpoint'] == step}
  if len(found) == 2:
    asked, own = (found[name]['checkpoint'] for name in _SCORES)
    if asked < own and asked != best:
      del found['evaluation']
  return next(iter(found.items()), (None, None))


def _read_scores(path):
  try:
    return json.loads(path.read_text())
  except (OSError, ValueError) as error:
    raise errors.UserError(
      f'{path} cannot be read ({error}); remove it, or --mode=evaluate again'
    ) from None
