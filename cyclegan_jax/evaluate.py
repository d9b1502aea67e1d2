"""Evaluation: how far to believe a run, in numbers and pictures."""

import csv
import math
import pathlib

import numpy as np

from cyclegan_jax import build
from cyclegan_jax import checkpoint as checkpoint_lib
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import pairs as pairs_lib
from cyclegan_jax import pictures
from cyclegan_jax import scores
from cyclegan_jax import screen
from cyclegan_jax import subjects as subjects_lib
from cyclegan_jax.mri import metrics
from cyclegan_jax.mri import scans as scans_lib

_DRAWN = 4  # rows of a picture


def evaluate(
  workdir: str,
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
    batch_size: slices at a time.
    checkpoint: 'newest', or 'best' as judged without pairs while training.

  Returns:
    What evaluation.json holds.

  Raises:
    UserError: if there is nothing to score, or none can be used.
    errors.Incomplete: if some cannot; the others are scored and written.
  """
  workdir = pathlib.Path(workdir)
  path = checkpoint_lib.find(workdir, checkpoint)
  meta = checkpoint_lib.read_meta(path)
  if source_a is None:
    config = build.read_config(meta['config'])
    source_a, source_b = build.test_sources(config)
  translators = build.load_translators(path)
  found_a = scans_lib.find_scans(source_a)
  found_b = scans_lib.find_scans(source_b)
  pairs = scans_lib.pair_scans(found_a, found_b)
  screen.say(
    f'checkpoint {translators["ab"].step} of {workdir}: {len(pairs)} pairs '
    f'among {len(found_a)} scans in {source_a} and {len(found_b)} in {source_b}'
  )
  if pairs:
    jobs = _group([{'a': a, 'b': b} for a, b in pairs])
  else:
    jobs = _group([{'a': scan} for scan in found_a])
    jobs += _group([{'b': scan} for scan in found_b])
  quantiles = {
    'b': translators['ab'].intensities[1].quantiles,
    'a': translators['ba'].intensities[1].quantiles,
  }

  records, rows, notes, failed = [], {'ab': [], 'ba': []}, [], []
  known = set(meta.get('people', ()))
  seen = {
    scan.patient
    for scan in (*found_a, *found_b)
    if known & set(pairs_lib.hash_people([scan]))
  }
  if seen:
    notes.append(
      f'{len(seen)} of these patients were trained on ({min(seen)}): scores '
      'say nothing of people the networks do not know'
    )
    screen.say(f'warning: {notes[0]}')
  for done, job in enumerate(jobs, 1):
    task = f'{done} of {len(jobs)}'
    try:
      subject = _load(job, translators, volume, batch_size, not pairs, task)
      found, remarks = _score(subject, quantiles, paired=bool(pairs))
    except (errors.UserError, ValueError) as error:
      name = next(iter(job.values()))[0].place
      line = str(error) if name in str(error) else f'{name}: {error}'
      failed.append(line)
      screen.say(f'{task}: failed: {line}')
      continue
    records += found
    notes += remarks
    for remark in remarks:
      screen.say(f'warning: {remark}')
    screen.say(f'{task}: {subject.name}')
    for direction, drawn in rows.items():
      if pairs and len(drawn) < _DRAWN:
        count = -(-_DRAWN // len(jobs))
        drawn += _choose_rows(subject, direction, count)
  if not records:
    raise errors.UserError(failed[0])

  report = {
    'notice': 'Scores of synthetic images, which are not for diagnosis.',
    'checkpoint': translators['ab'].step,
    'domains': list(translators['ab'].domains),
    'paired': bool(pairs),
    'data_range': 1.0,
    'intensities': 'every scan scaled by itself to [0, 1], as for the networks',
    'region': 'the head as either scan shows it, holes filled, no air',
    'notes': notes,
    'failed': failed,
    **scores.summarize(records),
  }
  files.write_json(workdir / 'evaluation.json', _replace_infinite(report))
  _write_csv(workdir / 'evaluation.csv', records)
  for direction, drawn in rows.items():
    path = workdir / f'evaluation_{direction}.png'
    if drawn:
      _draw(path, translators[direction], drawn)
    else:
      path.unlink(missing_ok=True)  # an earlier evaluation's
  _print_table(report)
  written = 'evaluation.json, evaluation.csv'
  if pairs:
    written += ', evaluation_ab.png, evaluation_ba.png'
  screen.say(f'written to {workdir}: {written}')
  if failed:
    raise errors.Incomplete(
      f'{len(failed)} of {len(jobs)} could not be scored, the others are; the '
      f'first: {failed[0]}'
    )
  return report


def _score(subject, quantiles, *, paired):
  """Records of a subject, and what to know before believing them."""
  if not subject.masks['both'].any():
    raise errors.UserError(f'{subject.name}: no head to be seen in it')
  notes = list(subject.notes)
  if not paired:
    return scores.score_alone(subject, quantiles), notes
  notes += subjects_lib.check_offset(subject)
  return scores.score_pair(subject, quantiles), notes


def _replace_infinite(value):
  """With None, which JSON can hold."""
  if isinstance(value, dict):
    return {name: _replace_infinite(each) for name, each in value.items()}
  if isinstance(value, list):
    return [_replace_infinite(each) for each in value]
  return None if isinstance(value, float) and math.isinf(value) else value


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
  settings = dict(
    batch_size=batch_size,
    cycle=cycle,
    report=screen.report_progress(f'{task}: {scans[0].name}'),
  )
  if scans[0].is_picture:
    return subjects_lib.load_pictures(job, translators, **settings)
  return subjects_lib.load_volumes(
    {domain: scans[0] for domain, scans in job.items()},
    translators,
    volume=None if volume < 0 else volume,
    **settings,
  )


def _choose_rows(subject, direction, count):
  """Slices spread over the head: rows of the picture, and their pixels' size.

  Millimetres, or where they are not known squares.
  """
  source, target = direction
  mask = subject.masks['both']
  inside = np.flatnonzero(mask.any(axis=(1, 2)))
  rows = []
  for share in (np.arange(count) + 1) / (count + 1):
    row = inside[int(share * len(inside))]
    given, fake, truth = (
      subject.images[stage][row] for stage in (source, f'fake_{target}', target)
    )
    psnr = metrics.psnr(truth, fake, mask[row])
    ssim = metrics.ssim(truth, fake, mask[row])
    label = f'{subject.patient}\nslice {row}\n{psnr:.1f} dB / {ssim:.2f}'
    pixel_size = (subject.spacing or (1.0, 1.0, 1.0))[1:]
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


def _write_csv(path, records):
  with files.replace_file(path) as partial, partial.open('w') as file:
    writer = csv.DictWriter(file, list(records[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(records)


def _print_table(report):
  """Means over patients; with several, the 95 % interval of the translation."""
  names = scores.PAIRED if report['paired'] else scores.UNPAIRED
  for direction in ('ab', 'ba'):
    if direction not in report:
      continue
    own = report[direction]
    source, target = report['domains'][:: 1 if direction == 'ab' else -1]
    patients = len({each['patient'] for each in own['subjects']})
    people = f'{patients} patient{"s" * (patients > 1)}'
    screen.say(f'{source} to {target}, {people}, inside the head')
    screen.say(' ' * 30 + ''.join(f'{name:>30}' for name in names))
    for method, label in scores.METHODS.items():
      values = own if method == 'translation' else own['references'].get(method)
      if values:
        cells = ''.join(f'{_format(values[name]):>30}' for name in names)
        screen.say(f'  {label:<28}{cells}')


def _format(summary):
  mean, low, high = (summary[key] for key in ('mean', 'low', 'high'))
  interval = '' if low is None else f' [{low:.3g}, {high:.3g}]'
  return ('inf' if mean is None else f'{mean:.4g}') + interval
