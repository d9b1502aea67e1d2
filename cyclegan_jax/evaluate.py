"""Evaluation: how far to believe a run, in numbers and pictures."""

import dataclasses
import functools
import pathlib

from cyclegan_jax import conclude
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import inputs
from cyclegan_jax import restore
from cyclegan_jax import stored_config
from cyclegan_jax.evaluation import cases
from cyclegan_jax.evaluation import examples as examples_lib
from cyclegan_jax.evaluation import scores
from cyclegan_jax.evaluation import tables
from cyclegan_jax.evaluation import views
from cyclegan_jax.mri import patients
from cyclegan_jax.mri import scans as scans_lib
from cyclegan_jax.reporting import description
from cyclegan_jax.runtime import kept


def evaluate(
  workdir: str | pathlib.Path,
  *,
  source_a: str | None = None,
  source_b: str | None = None,
  volume: int = -1,
  batch_size: int = 4,
  checkpoint: str = 'newest',
) -> dict:
  """Scores a checkpoint of a run on scans it was not trained on.

  Scans of the same name or patient in both sources are pairs and are compared
  with the truth; without pairs, only what needs no truth is measured. Writes
  evaluation.json, evaluation.csv and, with pairs, a picture of each direction
  to the workdir, of a packed run to the folder `kept.make_home`.

  Args:
    workdir: of the run, or what was packed of it.
    source_a: scans of domain a; None: the held-out scans of the run.
    source_b: likewise of domain b.
    volume: which volume of 4-D files; -1: as in training.
    batch_size: slices at a time, on each device.
    checkpoint: 'newest', 'best' as judged without pairs, or a step.

  Returns:
    What evaluation.json holds.

  Raises:
    UserError: if there is nothing to score, or none can be used.
    errors.Incomplete: if some cannot; the others are scored and written.
  """
  workdir = pathlib.Path(workdir)
  path = kept.find(workdir, checkpoint)
  meta = restore.read_meta(path)
  _check_both(meta, workdir)
  own = None
  if source_a is None or source_b is None:
    told = description.read(workdir).get('config', meta.config)
    own = stored_config.read(told)
    source_a, source_b = inputs.test_sources(own)
  left_out = []
  found_a, found_b = (
    scans_lib.find_scans(source, warn=left_out.append)
    for source in (source_a, source_b)
  )
  translators = restore.load_translators(path)
  pairs = patients.pair_scans(found_a, found_b)
  console.say(
    f'checkpoint {meta.step} of {workdir}: {len(pairs)} pairs among '
    f'{len(found_a)} scans in {source_a} and {len(found_b)} in {source_b}'
  )
  jobs = _list_jobs(pairs, found_a, found_b)
  plane = translators['ab'].settings[0].planes[0]
  found = _Found(paired=bool(pairs), count=len(jobs), plane=plane)
  found.note(*left_out)
  _note_known(found, (*found_a, *found_b), meta)
  load = functools.partial(
    _load,
    translators=translators,
    volume=None if volume < 0 else volume,
    batch_size=batch_size * translators['ab'].devices,
    cycle=not pairs,
  )
  with console.follow(len(jobs)) as start:
    for number, job in enumerate(jobs, 1):
      _score_job(job, found, meta, load, start, number)
  if not found.records:
    raise errors.UserError(found.failed[0])
  if own and not own.data.train_a:  # single slices, no volumes
    found.show_simulated(translators, inputs.simulated_head(own))
  report = _write(workdir, meta, translators, found)
  if found.failed:
    raise errors.Incomplete(
      f'{len(found.failed)} of {len(jobs)} could not be scored, the others '
      f'are; the first: {found.failed[0]}'
    )
  return report


def _check_both(meta, workdir):
  if len(meta.directions()) < 2:
    raise errors.UserError(
      f'--workdir={workdir} was imported with one generator, and what is '
      'scored are both: import the folder that has both'
    )


def _note_known(found, scans, meta):
  known = patients.find_known(scans, *meta.trained_on())
  if known:
    found.note(
      f'{len(known)} of these patients were trained on (such as {known[0]}): '
      'scores say nothing of patients the networks do not know'
    )
  if 'imported' in meta.learnt_from():
    found.note(
      'whom an imported model was trained on is not known here: see that none '
      'of these patients was among them'
    )


@dataclasses.dataclass
class _Found:
  """What has been found so far.

  Attributes:
    paired: whether there is a truth.
    count: of what is to be scored.
    plane: along which volumes are sliced.
    records: of `scores`.
    examples: for the picture of each direction.
    extremes: the patients for the viewer.
    notes: what to know before believing the scores.
    failed: what could not be scored, and why.
  """

  paired: bool
  count: int
  plane: str
  records: list[dict] = dataclasses.field(default_factory=list)
  examples: dict[str, list] = dataclasses.field(
    default_factory=lambda: {'ab': [], 'ba': []}
  )
  extremes: views.Extremes = dataclasses.field(default_factory=views.Extremes)
  notes: list[str] = dataclasses.field(default_factory=list)
  failed: list[str] = dataclasses.field(default_factory=list)

  def add(self, case: cases.Case, records: list[dict]):
    """Keeps what was found of a case: records, examples, a view."""
    self.records += records
    score = 0.0
    if self.paired:
      count = examples_lib.how_many(self.count)
      own = examples_lib.find(case, records, count=count)
      for direction, examples in own.items():
        self.examples[direction] += examples
      score = own['ab'][0].score
    self.extremes.add(score, views.make(case, self.plane))

  def show_simulated(self, translators, simulate: conclude.Simulate):
    """Keeps the view of a simulated volume instead of others."""

    def translate(batch):
      return {
        'fake_b': translators['ab'].generate(batch['a']),
        'fake_a': translators['ba'].generate(batch['b']),
      }

    view = conclude.simulate_view(
      simulate,
      translate,
      {
        each.direction[0]: each.intensities[0].scaling
        for each in translators.values()
      },
      channels=translators['ab'].channels,
    )
    self.extremes = views.Extremes()
    self.extremes.add(0.0, view)

  def fail(self, task: str, place: str, error: Exception):
    """Keeps why something cannot be scored, and says it at once."""
    line = str(error) if place in str(error) else f'{place}: {error}'
    self.failed.append(line)
    console.say(f'{task}: failed: {line}')

  def note(self, *notes: str):
    """Keeps notes, and says them at once."""
    self.notes += notes
    for words in notes:
      console.say(f'warning: {words}')


def _write(workdir, meta, translators, found):
  """Report, table, pictures and pages; the report also returned."""
  folder = kept.make_home(workdir)
  domains = translators['ab'].domains
  report, written = conclude.write_scores(
    folder,
    'evaluation',
    found.records,
    found.examples,
    checkpoint=meta.step,
    domains=domains,
    paired=found.paired,
    notes=found.notes,
    failed=found.failed,
  )
  views.write(folder, found.extremes.views(), domains=domains, step=meta.step)
  for line in tables.format_means(report):
    console.say(line)
  console.say(f'written to {folder}: {", ".join(written)}')
  if (folder / 'config.json').exists():
    console.say(f'report: {conclude.write_pages(folder)}')
  return report


def _score_job(job, found, meta, load, start, number):
  """Scores one job, or keeps why it cannot be scored."""
  task = f'{number} of {found.count}'
  first = next(iter(job.values()))[0]
  try:
    case = load(job, report=start(number, first.name))
    records, notes = _score(case, meta, paired=found.paired)
  except (errors.UserError, ValueError) as error:
    found.fail(task, first.place, error)
    return
  found.note(*notes)
  found.add(case, records)
  console.say(f'{task}: {case.name}')


def _score(case, meta, *, paired):
  """Records of a case, and what to know before believing them."""
  if not case.masks['both'].any():
    raise errors.UserError(f'{case.name}: no head to be seen in it')
  notes = list(case.notes)
  quantiles = {
    domain: each.quantiles for domain, each in meta.intensities.items()
  }
  if not paired:
    return scores.score_alone(case, quantiles), notes
  notes += cases.check_apart(case) or cases.check_offset(case)
  return scores.score_pair(case, quantiles), notes


def _list_jobs(pairs, found_a, found_b):
  if pairs:
    return _group([dict(zip('ab', pair, strict=True)) for pair in pairs])
  alone = _group([{'a': scan} for scan in found_a])
  return alone + _group([{'b': scan} for scan in found_b])


def _group(rows):
  """Rows of scans by domain: each volume's alone, pictures by person."""
  jobs, pictured = [], {}
  for row in rows:
    first = next(iter(row.values()))
    if first.is_picture:
      pictured.setdefault(first.patient, []).append(row)
    else:
      jobs.append({domain: [scan] for domain, scan in row.items()})
  for _, own in sorted(pictured.items()):
    jobs.append({domain: [row[domain] for row in own] for domain in own[0]})
  return jobs


def _load(job, *, translators, volume, **settings):
  if next(iter(job.values()))[0].is_picture:
    return cases.load_pictures(job, translators, **settings)
  alone = {domain: scans[0] for domain, scans in job.items()}
  return cases.load_volumes(alone, translators, volume=volume, **settings)
