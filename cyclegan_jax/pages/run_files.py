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
from cyclegan_jax.reporting import rewind

_SCORES = ('evaluation', 'held_out')  # the first that is there
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
    scores: evaluation.json, or else held_out.json; None without either.
    scored_by: which of them, 'evaluation' or 'held_out'.
    best: step of the checkpoint kept for its looks, if there is one.
    samples: (step, path) of the sample grids, in order.
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

  @property
  def name(self) -> str:
    return self.workdir.resolve().name

  @property
  def domains(self) -> tuple[str, str]:
    a, b = self.recipe['domains']
    return a, b

  @property
  def step(self) -> int:
    """Done, as far as the log tells."""
    lines = (*self.steps, *self.evaluations)
    return max((line['step'] for line in lines), default=0)

  @property
  def equilibrium(self) -> float:
    """A discriminator's loss where it cannot tell real from made."""
    return _EQUILIBRIUM[self.recipe['loss']['kind']]

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


def read(workdir: pathlib.Path) -> RunFiles:
  """Reads the files of a run.

  Raises:
    UserError: if it is none.
  """
  try:
    description = json.loads((workdir / 'config.json').read_text())
    recipe = description['config']
  except (OSError, ValueError, KeyError, TypeError):
    raise errors.UserError(
      f'--workdir={workdir} holds no config.json that can be read; name the '
      'folder of a run'
    ) from None
  lines = rewind.read_lines(workdir / 'metrics.jsonl')
  scored_by = next(
    (name for name in _SCORES if (workdir / f'{name}.json').exists()), None
  )
  best = files.list_numbered(workdir / 'best')
  return RunFiles(
    workdir=workdir,
    recipe=recipe,
    versions=description.get('versions', {}),
    git_revision=description.get('git_revision'),
    facts=description.get('facts', {}),
    steps=[line for line in lines if line['kind'] == 'step'],
    evaluations=[line for line in lines if line['kind'] == 'evaluation'],
    warnings=[line for line in lines if line['kind'] == 'warning'],
    scores=_read_scores(workdir / f'{scored_by}.json') if scored_by else None,
    scored_by=scored_by,
    best=int(best[-1].name) if best else None,
    samples=sorted(
      (int(path.stem.removeprefix('step_')), path)
      for path in (workdir / 'samples').glob('step_*.png')
      if path.stem.removeprefix('step_').isdigit()
    ),
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


def _read_scores(path):
  try:
    return json.loads(path.read_text())
  except (OSError, ValueError) as error:
    raise errors.UserError(
      f'{path} cannot be read ({error}); remove it, or --mode=evaluate again'
    ) from None
