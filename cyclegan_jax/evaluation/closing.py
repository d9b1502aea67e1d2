"""The held-out patients of a run at its end, beside what needs no network.

At the networks' size and with the state that is there: what `--mode=evaluate`
does on the scans' own grids takes longer, and reads them anew.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from cyclegan_jax.data import slices as slices_lib
from cyclegan_jax.evaluation import cases
from cyclegan_jax.evaluation import examples as examples_lib
from cyclegan_jax.evaluation import scores
from cyclegan_jax.evaluation import stacks
from cyclegan_jax.mri import head

_PATIENTS, _SLICES = 40, 16  # of many, those spread over them


def make_cases(
  pairs: Mapping[str, slices_lib.SliceSet], translate: stacks.Translate
) -> Iterator[cases.Case]:
  """Each patient's slices and their translations, at most 40 of 16.

  Args:
    pairs: held-out slices of domain 'a' and 'b' under the same names.
    translate: what is to be judged.
  """
  rows = {}
  plane = pairs['a'].slices[0].plane
  for row, each in enumerate(pairs['a'].slices):
    if each.plane == plane:
      rows.setdefault(each.patient, []).append(row)
  for patient in _spread(sorted(rows), _PATIENTS):
    chosen = _spread(rows[patient], _SLICES)
    images = {
      domain: (np.stack([slices.load(row) for row in chosen]) + 1) / 2
      for domain, slices in pairs.items()
    }
    yield make_case(patient, images, translate)


def make_case(
  patient: str,
  images: dict[str, np.ndarray],
  translate: stacks.Translate,
  spacing: tuple[float, float, float] | None = None,
) -> cases.Case:
  """A case of slices at the networks' size.

  Args:
    patient: whose they are.
    images: of domain 'a' and 'b', [N, S, S] in [0, 1].
    translate: what makes the fakes.
    spacing: mm between slices, rows, columns, where they are neighbours.
  """
  masks = {domain: head.find_heads(each) for domain, each in images.items()}
  return cases.Case(
    name=patient,
    patient=patient,
    images=images | stacks.translate_stacks(images, translate),
    masks=cases.join_masks(masks),
    spacing=spacing,
  )


def score(
  pairs: Mapping[str, slices_lib.SliceSet],
  translate: stacks.Translate,
  quantiles: Mapping[str, Sequence[float]],
  report: Callable[[int, int], None],
) -> tuple[list[dict], dict[str, list[examples_lib.Example]]]:
  """Records of `scores`, and examples by direction.

  Args:
    pairs: as in `make_cases`.
    translate: likewise.
    quantiles: of the heads of each domain's training scans, in [-1, 1].
    report: called with the patients done and their number.
  """
  total = min(len(pairs['a'].patients), _PATIENTS)
  records, examples = [], {'ab': [], 'ba': []}
  for done, case in enumerate(make_cases(pairs, translate), 1):
    if case.masks['both'].any():
      own = scores.score_pair(case, quantiles)
      records += own
      count = examples_lib.how_many(total)
      for direction, found in examples_lib.find(case, own, count=count).items():
        examples[direction] += found
    report(done, total)
  return records, examples


def _spread(things, count):
  rows = np.linspace(0, len(things) - 1, min(len(things), count))
  return [things[row] for row in rows.astype(int)]
