"""What came of the faults of a soak, for people: see `soak`."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Row:
  """What came of the faults of a kind."""

  injected: int = 0
  resumed: int = 0
  early: int = 0
  aborted: int = 0
  lost: list[int] = dataclasses.field(default_factory=list)
  mismatches: int = 0
  tracebacks: int = 0
  broken: int = 0
  longest_s: float = 0.0


def print_table(soaks):
  print(
    'fault      processes  injected  resumed  lost mean  max  mismatches  '
    'tracebacks  broken  longest wait'
  )
  for soak in soaks:
    for kind, row in soak.rows.items():
      if not (row.injected or row.broken or row.tracebacks):
        continue
      lost = row.lost or [0]
      print(
        f'{kind:<10} {soak.layout.processes:>9}  {row.injected:>8}  '
        f'{row.resumed:>7}  {np.mean(lost):>9.1f}  {max(lost):>3}  '
        f'{row.mismatches:>10}  {row.tracebacks:>10}  {row.broken:>6}  '
        f'{row.longest_s:>10.1f} s'
      )
  for soak in soaks:
    early, aborted = (
      sum(getattr(row, name) for row in soak.rows.values())
      for name in ('early', 'aborted')
    )
    print(
      f'{soak.layout.processes} process(es): {soak.runs} runs of '
      f'{soak.layout.max_steps} steps; {early} signals before a process could '
      f'hear; {aborted} processes ended by the runtime (134)'
    )
