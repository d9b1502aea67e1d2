"""An evaluation as files and as a table for people."""

from collections.abc import Iterator
from collections.abc import Sequence
import csv
import math
import pathlib

from cyclegan_jax import files
from cyclegan_jax.evaluation import scores

FEWEST = 5  # patients that an interval of their mean is worth anything for
# What people read; higher is better but where it says less.
UNITS = {
  'psnr': 'PSNR (dB)',
  'ssim': 'SSIM (-1 to 1)',
  'mae': 'MAE (of range, lower better)',
  'nmi': 'NMI (1 to 2)',
  'cycle_error': 'cycle error (lower better)',
  'histogram_distance': 'hist. distance (lower better)',
  'edge_agreement': 'edge agreement (0 to 1)',
}


def make_report(
  records: Sequence[dict],
  *,
  checkpoint: int,
  domains: Sequence[str],
  paired: bool,
  notes: Sequence[str] = (),
  failed: Sequence[str] = (),
) -> dict:
  """What evaluation.json holds.

  Args:
    records: of `scores`.
    checkpoint: the step that was judged.
    domains: names of a and b.
    paired: whether there was a truth.
    notes: what to know before believing the scores.
    failed: what could not be scored, and why.
  """
  return {
    'notice': 'Scores of synthetic images, which are not for diagnosis.',
    'checkpoint': checkpoint,
    'domains': list(domains),
    'paired': paired,
    'data_range': 1.0,
    'intensities': 'every scan scaled by itself to [0, 1], as for the networks',
    'region': 'the head as either scan shows it, holes filled, no air',
    'notes': list(notes),
    'failed': list(failed),
    **scores.summarize(records),
  }


def write_report(path: pathlib.Path, report: dict):
  """Writes a report as JSON, which has no infinite numbers: None for them."""
  files.write_json(path, _replace_infinite(report))


def write_records(path: pathlib.Path, records: Sequence[dict]):
  """Writes records of `scores` as CSV, a row each."""
  with files.replace_file(path) as partial, partial.open('w') as file:
    writer = csv.DictWriter(file, list(records[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(records)


def format_means(report: dict) -> Iterator[str]:
  """Lines of a table: means over patients, and their 95 % intervals."""
  measures = scores.PAIRED if report['paired'] else scores.UNPAIRED
  for direction in ('ab', 'ba'):
    if direction not in report:
      continue
    own = report[direction]
    names = [name for name in measures if name in own]
    source, target = report['domains'][:: 1 if direction == 'ab' else -1]
    patients = count_patients(own)
    people = f'{patients} patient{"s" * (patients > 1)}'
    few = too_few(patients)
    yield (
      f'{source} to {target}, {people}, inside the head{few and f" ({few})"}'
    )
    yield (' ' * 30 + ''.join(f'{with_unit(name):>30}' for name in names))
    for method, label in scores.METHODS.items():
      values = own if method == 'translation' else own['references'].get(method)
      if values:
        cells = ''.join(f'{_format(values[name], few):>30}' for name in names)
        yield (f'  {label:<28}{cells}')


def with_unit(name: str) -> str:
  """What heads a column: 'PSNR (dB)'."""
  return UNITS.get(name, name)


def count_patients(own: dict) -> int:
  """How many a direction of a report was scored on."""
  return len({each['patient'] for each in own['subjects']})


def too_few(patients: int) -> str:
  """Why there is no interval, in words; empty if there are enough patients."""
  if patients >= FEWEST:
    return ''
  return f'{patients} patient{"s" * (patients > 1)}: too few for an interval'


def _format(summary, few):
  mean, low, high = (summary[key] for key in ('mean', 'low', 'high'))
  interval = '' if low is None or few else f' [{low:.3g}, {high:.3g}]'
  return ('inf' if mean is None else f'{mean:.4g}') + interval


def _replace_infinite(value):
  """With None, which JSON can hold."""
  if isinstance(value, dict):
    return {name: _replace_infinite(each) for name, each in value.items()}
  if isinstance(value, list):
    return [_replace_infinite(each) for each in value]
  return None if isinstance(value, float) and math.isinf(value) else value
