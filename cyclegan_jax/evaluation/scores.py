"""What a translation is worth, beside what needs no network.

A record is a dict of one patient's scan, direction, method and region, and its
scores: means over the slices that show a head.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import statistics

import numpy as np

from cyclegan_jax.data import held_out as held_out_lib
from cyclegan_jax.evaluation import baselines
from cyclegan_jax.evaluation import cases
from cyclegan_jax.evaluation import metrics

METHODS = {
  'translation': 'the translation',
  'untranslated': 'untranslated',
  'matched': 'histogram matched',
  'inverted': 'inverted, then matched',
  'oracle': 'best pointwise map (oracle)',
}
PAIRED = {
  'psnr': metrics.psnr,
  'ssim': metrics.ssim,
  'mae': metrics.mae,
  'nmi': metrics.nmi,
}
UNPAIRED = ('cycle_error', 'histogram_distance', 'edge_agreement')


def score_pair(
  case: cases.Case, quantiles: Mapping[str, Sequence[float]]
) -> list[dict]:
  """Scores both directions of a patient with both scans against the truth.

  Args:
    case: with 'a', 'b' and their fakes.
    quantiles: of the heads of each domain's training scans, in [-1, 1]; empty
      where they are not known: no histogram is matched then.

  Returns:
    Records: every method inside the head, the translation and the untranslated
    input over the whole image as well.
  """
  records = []
  mask = case.masks['both']
  rows = _find_rows(mask)
  for source, target in ('ab', 'ba'):
    given, truth = case.images[source], case.images[target]
    table = baselines.fit_pointwise(given, truth, mask)
    images = {
      'translation': case.images[f'fake_{target}'],
      'untranslated': given,
      **_match(given, case.masks[source], quantiles[target]),
      # Nothing outside the head, as the two above: SSIM looks over the edge.
      'oracle': np.where(mask, baselines.apply_pointwise(table, given), 0),
    }
    whole = np.ones_like(mask)
    for method, image in images.items():
      regions = {'head': mask}
      if method in ('translation', 'untranslated'):
        regions['whole'] = whole
      for region, chosen in regions.items():
        records.append(
          _name(case, source + target, method, region)
          | _score_slices(truth, image, chosen, rows)
        )
  return records


def score_alone(
  case: cases.Case, quantiles: Mapping[str, Sequence[float]]
) -> list[dict]:
  """Measures what needs no truth, of the domains a patient has a scan in.

  'cycle_error': mean absolute difference to the round trip, inside the head.
  'histogram_distance': of the result's intensities to the target domain's, if
  these are known.
  'edge_agreement': of input and result, blind to polarity.
  """
  records = []
  for source, target in ('ab', 'ba'):
    if source not in case.images:
      continue
    given, mask = case.images[source], case.masks[source]
    rows = _find_rows(mask)
    for method, image, back in (
      (
        'translation',
        case.images[f'fake_{target}'],
        case.images[f'cycled_{source}'],
      ),
      ('untranslated', given, given),
    ):
      edges = [
        metrics.edge_agreement(given[row], image[row], mask[row])
        for row in rows
      ]
      records.append(
        _name(case, source + target, method, 'head')
        | {
          'cycle_error': float(np.abs(given - back)[mask].mean()),
          **_measure_histogram(image[mask], quantiles[target]),
          'edge_agreement': float(np.mean(edges)),
        }
      )
  return records


def select(
  records: Sequence[dict], method: str = 'translation', region: str = 'head'
) -> list[dict]:
  """The records of one method in one region."""
  return [
    each
    for each in records
    if (each['method'], each['region']) == (method, region)
  ]


def summarize(records: Sequence[dict]) -> dict:
  """Means over patients by direction, method and metric, and every record.

  Returns:
    By direction: each metric of the translation inside the head, as
    `metrics.summarize` gives it; 'whole_image' likewise; 'references', by
    method; 'subjects', the records.
  """
  result = {}
  for direction in ('ab', 'ba'):
    own = [each for each in records if each['direction'] == direction]
    if not own:
      continue

    def mean(method, region, own=own):
      return _summarize_patients(select(own, method, region))

    methods = dict.fromkeys(each['method'] for each in own)
    result[direction] = mean('translation', 'head') | {
      'whole_image': mean('translation', 'whole'),
      'references': {
        method: mean(method, 'head')
        for method in methods
        if method != 'translation'
      },
      'subjects': own,
    }
  return result


def _match(given, mask, quantiles):
  if not len(quantiles):
    return {}
  wanted = (np.asarray(quantiles) + 1) / 2
  return {
    'matched': baselines.match_histogram(given, mask, wanted),
    'inverted': baselines.invert_and_match(given, mask, wanted),
  }


def _measure_histogram(values, quantiles):
  if not len(quantiles):
    return {}
  wanted = (np.asarray(quantiles) + 1) / 2
  return {'histogram_distance': metrics.histogram_distance(values, wanted)}


def _name(case, direction, method, region):
  return {
    'patient': case.patient,
    'scan': case.name,
    'direction': direction,
    'method': method,
    'region': region,
  }


def _find_rows(mask):
  """Slices that show a head; if none does, those that show anything."""
  shares = mask.mean(axis=(1, 2))
  rows = np.flatnonzero(shares >= held_out_lib.SHOWN)
  return rows if len(rows) else np.flatnonzero(shares)


def _score_slices(truth, image, chosen, rows):
  return {
    name: statistics.fmean(
      metric(truth[row], image[row], chosen[row]) for row in rows
    )
    for name, metric in PAIRED.items()
  } | {'slices': len(rows)}


def _summarize_patients(records):
  """Each metric over patients, of whom several scans count as one."""
  if not records:
    return {}
  patients = {}
  for record in records:
    patients.setdefault(record['patient'], []).append(record)
  names = [name for name in (*PAIRED, *UNPAIRED) if name in records[0]]
  return {
    name: metrics.summarize(
      [
        statistics.fmean(record[name] for record in scans)
        for scans in patients.values()
      ]
    )
    for name in names
  }
