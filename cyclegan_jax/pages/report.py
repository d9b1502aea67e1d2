"""The report of a run, or of several side by side, as one page."""

from collections.abc import Sequence
import pathlib

from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax.evaluation import scores
from cyclegan_jax.evaluation import tables
from cyclegan_jax.pages import assets
from cyclegan_jax.pages import charts
from cyclegan_jax.pages import page
from cyclegan_jax.pages import run_files
from cyclegan_jax.pages import verdict
from cyclegan_jax.pages import viewer

_GRIDS = 24  # sample grids at most, spread over the run


def write(
  runs: Sequence[run_files.RunFiles], target: pathlib.Path
) -> pathlib.Path:
  """Writes report.html, which needs neither a server nor a network.

  Args:
    runs: one, or several to be compared.
    target: where it goes.

  Raises:
    UserError: if two are called the same.
  """
  if len(runs) > 1:
    return _compare(runs, target)
  (run,) = runs
  return page.write(
    target,
    'report.html.jinja',
    run=run,
    training=list(verdict.describe_training(run)),
    statements=list(verdict.judge(run)),
    warnings=verdict.list_warnings(run),
    directions=list(_list_directions(run)),
    units=tables.UNITS,
    charts=list(charts.draw_run(run)),
    grids=_embed_grids(run),
    pictures=[
      (' to '.join(run.names(direction)), page.embed_picture(path))
      for direction, path in run.pictures()
    ],
    viewer=viewer.load(run.workdir),
    embed_json=page.embed_json,
    changes=run.changes(),
    speed=describe_speed(run),
    plotly=assets.read_plotly(),
    niivue=assets.read_niivue(),
  )


def describe_speed(run: run_files.RunFiles) -> dict[str, str]:
  """What the run took, by what it is."""
  told = {}
  rates = sorted(
    line['images_per_second']
    for line in run.steps
    if 'images_per_second' in line
  )
  if rates:
    told['speed, median'] = f'{rates[len(rates) // 2]:.3g} images/s'
  for name in ('devices', 'started', 'finished'):
    if run.facts.get(name):
      told[name] = str(run.facts[name])
  if run.facts.get('peak_memory'):
    told['memory, at most'] = f'{run.facts["peak_memory"] / 2**30:.1f} GiB'
  parameters = run.facts.get('parameters')
  if parameters:
    told['parameters'] = ', '.join(
      f'{count:,} a {network}' for network, count in parameters.items()
    )
  told |= {name: version for name, version in sorted(run.versions.items())}
  if run.git_revision:
    told['git revision'] = run.git_revision
  return told


def _list_directions(run):
  """Of the scores, as the page shows them: a table of methods, of patients."""
  report = run.scores
  if not report:
    return
  measures = scores.PAIRED if report['paired'] else scores.UNPAIRED
  for direction in ('ab', 'ba'):
    if direction not in report:
      continue
    own = report[direction]
    patients = tables.count_patients(own)
    names = [name for name in measures if name in own]
    yield {
      'title': ' to '.join(run.names(direction)),
      'metrics': list(names),
      'better': verdict.find_better(own) if report['paired'] else (),
      'methods': list(verdict.list_methods(own)),
      'patients': patients,
      'few': tables.too_few(patients),
      'subjects': scores.select(own['subjects']),
    }


def _embed_grids(run):
  count = len(run.samples)
  chosen = sorted(
    {round(i * (count - 1) / max(_GRIDS - 1, 1)) for i in range(_GRIDS)}
    if count > _GRIDS
    else range(count)
  )
  return [
    {'step': step, 'source': page.embed_picture(path, quality=80)}
    for step, path in (run.samples[i] for i in chosen)
  ]


def _compare(runs, target):
  names = [run.name for run in runs]
  twice = [name for name in names if names.count(name) > 1]
  if twice:
    raise errors.UserError(
      f'--workdir: two runs are called {twice[0]}; the page could not tell '
      'them apart'
    )
  fields = [
    {
      name: value
      for name, value in checks.flatten(run.recipe).items()
      if not run_files.is_place(name)
    }
    for run in runs
  ]
  values = {
    name: [own.get(name) for own in fields]
    for name in sorted(set().union(*fields))
  }
  differing = [
    (name, own) for name, own in values.items() if own.count(own[0]) < len(own)
  ]
  return page.write(
    target,
    'compare.html.jinja',
    runs=runs,
    verdicts=[list(verdict.judge(run)) for run in runs],
    warnings=[verdict.list_warnings(run) for run in runs],
    training=[list(verdict.describe_training(run)) for run in runs],
    directions=[list(_list_directions(run)) for run in runs],
    units=tables.UNITS,
    charts=list(charts.draw_together(runs)),
    grids=[_embed_grids(run)[-1:] for run in runs],
    differing=differing,
    speeds=[describe_speed(run) for run in runs],
    plotly=assets.read_plotly(),
  )
