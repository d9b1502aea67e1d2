"""Evaluation: how far to believe a run, in numbers and pictures."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from cyclegan_jax import build
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import restore
from cyclegan_jax import stored_config
from cyclegan_jax.evaluation import cases
from cyclegan_jax.evaluation import metrics
from cyclegan_jax.evaluation import scores
from cyclegan_jax.evaluation import tables
from cyclegan_jax.mri import patients
from cyclegan_jax.mri import scans as scans_lib
from cyclegan_jax.reporting import pictures
from cyclegan_jax.runtime import checkpoint as checkpoint_lib

_DRAWN = 4  # rows of a picture


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
  to the workdir.

  Args:
    workdir: of the run.
    source_a: scans of domain a; None: the held-out scans of the run.
    source_b: likewise of domain b.
    volume: which volume of 4-D files; -1: as in training.
    batch_size: slices at a time, on each device.
    checkpoint: 'newest', or 'best' as judged without pairs while training.

  Returns:
    What evaluation.json holds.

  Raises:
    UserError: if there is nothing to score, or none can be used.
    errors.Incomplete: if some cannot; the others are scored and written.
  """
  workdir = pathlib.Path(workdir)
  path = checkpoint_lib.find(workdir, checkpoint)
  meta = restore.read_meta(path)
  if source_a is None or source_b is None:
    config = stored_config.read_file(workdir) or meta.config
    source_a, source_b = build.test_sources(stored_config.read(config))
  translators = restore.load_translators(path)
  found_a = scans_lib.find_scans(source_a)
  found_b = scans_lib.find_scans(source_b)
  pairs = patients.pair_scans(found_a, found_b)
  console.say(
    f'checkpoint {meta.step} of {workdir}: {len(pairs)} pairs among '
    f'{len(found_a)} scans in {source_a} and {len(found_b)} in {source_b}'
  )
  if pairs:
    jobs = _group([dict(zip('ab', pair, strict=True)) for pair in pairs])
  else:
    jobs = _group([{'a': scan} for scan in found_a])
    jobs += _group([{'b': scan} for scan in found_b])
  found = _Found()
  known = patients.find_known((*found_a, *found_b), meta.patients)
  if known:
    found.note(
      f'{len(known)} of these patients were trained on ({known[0]}): scores '
      'say nothing of patients the networks do not know'
    )
  for done, job in enumerate(jobs, 1):
    task = f'{done} of {len(jobs)}'
    try:
      case = _load(job, translators, volume, batch_size, not pairs, task)
      records, notes = _score(case, meta, paired=bool(pairs))
    except (errors.UserError, ValueError) as error:
      found.fail(task, next(iter(job.values()))[0].place, error)
      continue
    found.records += records
    found.note(*notes)
    console.say(f'{task}: {case.name}')
    for direction, rows in found.rows.items():
      if pairs and len(rows) < _DRAWN:
        rows += _choose_rows(case, direction, -(-_DRAWN // len(jobs)))
  if not found.records:
    raise errors.UserError(found.failed[0])
  report = _write(workdir, meta, translators, found, paired=bool(pairs))
  if found.failed:
    raise errors.Incomplete(
      f'{len(found.failed)} of {len(jobs)} could not be scored, the others '
      f'are; the first: {found.failed[0]}'
    )
  return report


@dataclasses.dataclass
class _Found:
  """What has been found so far.

  Attributes:
    records: of `scores`.
    rows: of the picture of each direction.
    notes: what to know before believing the scores.
    failed: what could not be scored, and why.
  """

  records: list[dict] = dataclasses.field(default_factory=list)
  rows: dict[str, list] = dataclasses.field(
    default_factory=lambda: {'ab': [], 'ba': []}
  )
  notes: list[str] = dataclasses.field(default_factory=list)
  failed: list[str] = dataclasses.field(default_factory=list)

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


def _write(workdir, meta, translators, found, *, paired):
  """Report, table and pictures, to the workdir; the report also returned."""
  report = {
    'notice': 'Scores of synthetic images, which are not for diagnosis.',
    'checkpoint': meta.step,
    'domains': list(translators['ab'].domains),
    'paired': paired,
    'data_range': 1.0,
    'intensities': 'every scan scaled by itself to [0, 1], as for the networks',
    'region': 'the head as either scan shows it, holes filled, no air',
    'notes': found.notes,
    'failed': found.failed,
    **scores.summarize(found.records),
  }
  tables.write_report(workdir / 'evaluation.json', report)
  tables.write_records(workdir / 'evaluation.csv', found.records)
  written = ['evaluation.json', 'evaluation.csv']
  for direction, rows in found.rows.items():
    path = workdir / f'evaluation_{direction}.png'
    if rows:
      _draw(path, translators[direction], rows)
      written.append(path.name)
    else:
      path.unlink(missing_ok=True)  # an earlier evaluation's
  for line in tables.format_means(report):
    console.say(line)
  console.say(f'written to {workdir}: {", ".join(written)}')
  return report


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
  notes += cases.check_offset(case)
  return scores.score_pair(case, quantiles), notes


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


def _load(job, translators, volume, batch_size, cycle, task):
  scans = next(iter(job.values()))
  settings: dict[str, Any] = dict(
    batch_size=batch_size * translators['ab'].devices,
    cycle=cycle,
    report=console.report_progress(f'{task}: {scans[0].name}'),
  )
  if scans[0].is_picture:
    return cases.load_pictures(job, translators, **settings)
  return cases.load_volumes(
    {domain: scans[0] for domain, scans in job.items()},
    translators,
    volume=None if volume < 0 else volume,
    **settings,
  )


def _choose_rows(case, direction, count):
  """Slices spread over the head: rows of the picture, and their pixels' size.

  Millimetres, or where they are not known squares.
  """
  source, target = direction
  mask = case.masks['both']
  inside = np.flatnonzero(mask.any(axis=(1, 2)))
  rows = []
  for share in (np.arange(count) + 1) / (count + 1):
    row = inside[int(share * len(inside))]
    given, fake, truth = (
      case.images[stage][row] for stage in (source, f'fake_{target}', target)
    )
    psnr = metrics.psnr(truth, fake, mask[row])
    ssim = metrics.ssim(truth, fake, mask[row])
    label = f'{case.patient}\nslice {row}\n{psnr:.1f} dB / {ssim:.2f}'
    pixel_size = (case.spacing or (1.0, 1.0, 1.0))[1:]
    rows.append(((label, given, fake, truth), pixel_size))
  return rows


def _draw(path, translator, drawn):
  source, target = translator.domains
  rows, pixel_sizes = zip(*drawn, strict=True)
  picture = pictures.draw_comparison(
    rows,
    headings=(source, f'{target} synthetic', f'{target} truth', '|difference|'),
    caption=f'{source} to {target}, checkpoint {translator.step}',
    pixel_sizes=pixel_sizes,
  )
  with files.replace_file(path) as partial:
    picture.save(partial, format='PNG')
