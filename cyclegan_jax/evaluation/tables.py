"""An evaluation as files and as a table for people."""

from collections.abc import Iterator
from collections.abc import Sequence
import csv
import math
import pathlib

from cyclegan_jax import files
from cyclegan_jax.evaluation import scores


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
  names = scores.PAIRED if report['paired'] else scores.UNPAIRED
  for direction in ('ab', 'ba'):
    if direction not in report:
      continue
    own = report[direction]
    source, target = report['domains'][:: 1 if direction == 'ab' else -1]
    patients = len({each['patient'] for each in own['subjects']})
    people = f'{patients} patient{"s" * (patients > 1)}'
    yield (f'{source} to {target}, {people}, inside the head')
    yield (' ' * 30 + ''.join(f'{name:>30}' for name in names))
    for method, label in scores.METHODS.items():
      values = own if method == 'translation' else own['references'].get(method)
      if values:
        cells = ''.join(f'{_format(values[name]):>30}' for name in names)
        yield (f'  {label:<28}{cells}')


def _format(summary):
  mean, low, high = (summary[key] for key in ('mean', 'low', 'high'))
  interval = '' if low is None else f' [{low:.3g}, {high:.3g}]'
  return ('inf' if mean is None else f'{mean:.4g}') + interval


def _replace_infinite(value):
  """With None, which JSON can hold."""
  if isinstance(value, dict):
    return {name: _replace_infinite(each) for name, each in value.items()}
  if isinstance(value, list):
    return [_replace_infinite(each) for each in value]
  return None if isinstance(value, float) and math.isinf(value) else value
