"""An evaluation as files and as lines for people."""

import csv
import json
import math

import pytest

from cyclegan_jax.evaluation import scores
from cyclegan_jax.evaluation import tables


def summary(mean, low=None, high=None):
  return {'mean': mean, 'low': low, 'high': high, 'n': 1}


def test_json_has_none_for_what_is_infinite(tmp_path):
  report = {'psnr': math.inf, 'deep': [{'x': -math.inf, 'y': 1.5}], 'n': 3}
  tables.write_report(tmp_path / 'x.json', report)

  def refuse(word):
    pytest.fail(f'{word} is no JSON')

  found = json.loads((tmp_path / 'x.json').read_text(), parse_constant=refuse)
  assert found == {'psnr': None, 'deep': [{'x': None, 'y': 1.5}], 'n': 3}
  assert report['psnr'] == math.inf  # the report itself is left as it was


def test_records_are_rows_under_their_names(tmp_path):
  records = [
    {'patient': 'anna, the first', 'psnr': 20.5, 'slices': 3},
    {'patient': 'bert', 'psnr': math.inf, 'slices': 1},
  ]
  tables.write_records(tmp_path / 'x.csv', records)
  assert b'\r' not in (tmp_path / 'x.csv').read_bytes()
  with (tmp_path / 'x.csv').open() as file:
    rows = list(csv.DictReader(file))
  assert list(rows[0]) == ['patient', 'psnr', 'slices']
  assert [row['patient'] for row in rows] == ['anna, the first', 'bert']
  assert [float(row['psnr']) for row in rows] == [20.5, math.inf]


def test_means_are_a_table_of_methods(tmp_path):
  names = ('psnr', 'ssim', 'mae', 'nmi')
  own = dict.fromkeys(names, summary(0.5)) | {
    'psnr': summary(21.23456, 20.0, 22.5),
    'references': {'untranslated': dict.fromkeys(names, summary(None))},
    'subjects': [{'patient': 'anna'}, {'patient': 'anna'}, {'patient': 'bert'}],
  }
  alone = own | {'subjects': [{'patient': 'anna'}]}
  report = {'paired': True, 'domains': ['T1w', 'T2w'], 'ab': own, 'ba': alone}
  lines = list(tables.format_means(report))
  assert lines[0] == (
    'T1w to T2w, 2 patients, inside the head '
    '(2 patients: too few for an interval)'
  )
  headings = [tables.with_unit(name) for name in names]
  assert headings[0] == 'PSNR (dB)'
  assert lines[1].split() == ' '.join(headings).split()
  assert lines[2].split() == [
    *('the', 'translation', '21.23', '0.5', '0.5', '0.5'),
  ]
  assert lines[3].split() == ['untranslated', *['inf'] * 4]
  assert lines[4].startswith('T2w to T1w, 1 patient, inside the head')
  # Numbers stand below the names of their metrics.
  ends = [lines[1].index(name) + len(name) for name in headings]
  assert lines[3][ends[0] - 3 : ends[0]] == 'inf' and len(lines[3]) == ends[3]


def test_five_patients_have_an_interval():
  own = dict.fromkeys(scores.PAIRED, summary(21.23456, 20.0, 22.5)) | {
    'references': {},
    'subjects': [{'patient': name} for name in 'abcde'],
  }
  report = {'paired': True, 'domains': ['T1w', 'T2w'], 'ab': own}
  title, _, values = tables.format_means(report)
  assert title == 'T1w to T2w, 5 patients, inside the head'
  assert values.split()[2:5] == ['21.23', '[20,', '22.5]']


def test_without_pairs_other_metrics_are_told_of_the_domains_there_are():
  names = ('cycle_error', 'histogram_distance', 'edge_agreement')
  own = dict.fromkeys(names, summary(0.25)) | {
    'references': {},
    'subjects': [{'patient': 'anna'}],
  }
  report = {'paired': False, 'domains': ['T1w', 'T2w'], 'ba': own}
  title, header, values = tables.format_means(report)
  assert title.startswith('T2w to T1w') and 'cycle error' in header
  assert values.split() == ['the', 'translation', *['0.25'] * 3]
