"""The held-out patients of a run at its end, beside what needs no network.

At the networks' size and with the state that is there: what `--mode=evaluate`
does on the scans' own grids takes longer, and reads them anew.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

import numpy as np

from cyclegan_jax.data import slices as slices_lib
from cyclegan_jax.evaluation import cases
from cyclegan_jax.evaluation import examples as examples_lib
from cyclegan_jax.evaluation import scores
from cyclegan_jax.evaluation import stacks
from cyclegan_jax.mri import channels
from cyclegan_jax.mri import head
from cyclegan_jax.mri import volume as volume_lib

_PATIENTS, _SLICES = 40, 16  # of many, those spread over them


def make_cases(
  pairs: Mapping[str, slices_lib.SliceSet], translate: stacks.Translate
) -> Iterator[cases.Case]:
  """Each patient's slices and their translations, at most 40 of 16.

  Args:
    pairs: held-out slices of domain 'a' and 'b' under the same names.
    translate: what is to be judged.
  """
  rows = _group(pairs)
  for patient in _spread(sorted(rows), _PATIENTS):
    places = _spread(range(len(rows[patient])), _SLICES)
    chosen = [rows[patient][place] for place in places]
    case = make_case(patient, _load(pairs, chosen), translate)
    slices = [pairs['a'].slices[row] for row in chosen]
    numbers = map(_number, slices, places)
    yield dataclasses.replace(case, numbers=tuple(numbers))


def make_volume(
  pairs: Mapping[str, slices_lib.SliceSet],
  patient: str,
  translate: stacks.Translate,
  *,
  pixel: float,
) -> tuple[cases.Case, str]:
  """All slices of a patient's first scan, and the plane they were cut along.

  Args:
    pairs: held-out slices of domain 'a' and 'b' under the same names.
    patient: one of them.
    translate: what makes the fakes.
    pixel: mm between the pixels of a slice.
  """
  rows = _group(pairs)[patient]
  first = pairs['a'].slices[rows[0]]
  rows = [row for row in rows if pairs['a'].slices[row].scan == first.scan]
  plane = first.plane or 'axial'
  spacing = None
  # Of pictures nothing is known; a volume says its shape and its affine.
  known = pairs['a'].scans.get(first.scan)
  if known and known.grid:
    affine = np.reshape(known.grid[3:], (4, 4))
    spacing = (volume_lib.plane_spacing(affine, plane)[0], pixel, pixel)
  case = make_case(patient, _load(pairs, rows), translate, spacing)
  return case, plane


def make_case(
  patient: str,
  images: dict[str, np.ndarray],
  translate: stacks.Translate,
  spacing: tuple[float, float, float] | None = None,
) -> cases.Case:
  """A case of slices at the networks' size.

  Args:
    patient: whose they are.
    images: of domain 'a' and 'b', [N, S, S] or [N, S, S, C] in [0, 1].
    translate: what makes the fakes.
    spacing: mm between slices, rows, columns, where they are neighbours.
  """
  gray = {domain: channels.to_gray(each) for domain, each in images.items()}
  masks = {domain: head.find_heads(each) for domain, each in gray.items()}
  return cases.Case(
    name=patient,
    patient=patient,
    images=gray | stacks.translate_stacks(images, translate),
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


def find_extremes(records: Sequence[dict]) -> list[str]:
  """The patients who score best and worst from a to b; of two, both."""
  scored = {
    record['patient']: record['psnr']
    for record in scores.select(records)
    if record['direction'] == 'ab'
  }
  ordered = sorted(scored, key=lambda patient: -scored[patient])
  return list(dict.fromkeys([ordered[0], ordered[-1]]))


def _group(pairs):
  """Rows of every patient, along the first plane."""
  rows = {}
  plane = pairs['a'].slices[0].plane
  for row, each in enumerate(pairs['a'].slices):
    if each.plane == plane:
      rows.setdefault(each.patient, []).append(row)
  return rows


def _number(one, place):
  """Of a slice in its volume: its name ends with it. Of pictures in order."""
  return int(one.name.rsplit(' ')[-1]) if one.plane else place


def _load(pairs, rows):
  """{'a', 'b'}, each [N, S, S, C] in [0, 1]."""
  return {
    domain: (np.stack([slices.load(row) for row in rows]) + 1) / 2
    for domain, slices in pairs.items()
  }


def _spread(things, count):
  rows = np.linspace(0, len(things) - 1, min(len(things), count))
  return [things[row] for row in rows.astype(int)]
