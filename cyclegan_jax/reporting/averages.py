"""Averages of metrics over a log window or an epoch, kept as sums.

Sums go into checkpoints. Steps that were not applied are counted, not averaged.
"""

from collections.abc import Mapping
from typing import Any

TOTALS = ('generator_ab', 'generator_ba', 'discriminator_a', 'discriminator_b')


def add(sums: dict, metrics: Mapping[str, float], *, skipped: bool):
  """Adds a step to sums, which change."""
  for name, value in {'skipped': 1.0}.items() if skipped else metrics.items():
    sums[name] = sums.get(name, 0.0) + value
  sums['count'] = sums.get('count', 0) + 1


def take(sums: dict) -> dict[str, Any]:
  """The means over the steps applied, and 'skipped_steps'; clears the sums."""
  skipped = sums.pop('skipped', 0)
  count = sums.pop('count') - skipped
  means = {name: value / count for name, value in sums.items()}
  sums.clear()
  return means | {'skipped_steps': int(skipped)}


def describe(means: Mapping[str, float]) -> str:
  """The totals for a line of a log."""
  if not set(means).issuperset(TOTALS):
    return f'none of {means["skipped_steps"]} steps was applied'
  generator_ab, generator_ba, discriminator_a, discriminator_b = (
    means[name] for name in TOTALS
  )
  return (
    f'generators ab {generator_ab:.3f} ba {generator_ba:.3f}  '
    f'discriminators a {discriminator_a:.3f} b {discriminator_b:.3f}'
  )


def describe_briefly(means: Mapping[str, float]) -> str:
  """The totals beside a progress bar."""
  told = [f'{means[name]:.2f}' if name in means else '-' for name in TOTALS]
  return f'G {" ".join(told[:2])} D {" ".join(told[2:])}'
