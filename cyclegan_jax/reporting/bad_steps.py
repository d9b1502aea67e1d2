"""Steps whose losses or gradients were no numbers: they have changed nothing.

A few, of a broken slice or an unlucky batch, do no harm. A run that makes no
other steps any more has failed.
"""

from collections.abc import Mapping
import math


def find(metrics: Mapping[str, float]) -> str | None:
  """What of a step was no number, in words; None if it was applied.

  Args:
    metrics: of the step, with 'skipped'.
  """
  if not metrics['skipped']:
    return None
  for name, value in metrics.items():
    if not math.isfinite(value):
      return f'{name} is {value}'
  return 'the gradient is not finite'


def count(row: dict, step: int, trouble: str | None) -> dict:
  """How many there have been one after another: {} after a good step.

  Args:
    row: before the step: {'count', 'first', 'trouble'}, or nothing.
    step: that was made.
    trouble: from `find`.
  """
  if trouble is None:
    return {}
  row = row or {'count': 0, 'first': step, 'trouble': trouble}
  return row | {'count': row['count'] + 1}
