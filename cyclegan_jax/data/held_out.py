"""Held-out slices: of patients the networks do not know, both scans of each."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses

from cyclegan_jax.data import slices
from cyclegan_jax.mri import patients
from cyclegan_jax.mri.formats import dispatch

# A slice with a smaller share of head, its very top say, is not scored.
SHOWN = 0.01


def open_pairs(
  scans_a: Sequence[dispatch.Scan],
  scans_b: Sequence[dispatch.Scan],
  open_source: Callable[..., slices.SliceSet],
  *,
  warn: Callable[[str], None],
) -> dict[str, slices.SliceSet] | None:
  """The held-out slices that both domains have and that show a head.

  The two scans of a pair are centred about the same place, else they would be
  scored for where they lie.

  Args:
    scans_a: of domain a.
    scans_b: of domain b.
    open_source: `open_source(name, scans, centers=...)`, see
      `slices.open_slices`.
    warn: called with what is left out.

  Returns:
    Slices of 'a' and 'b' under the same names; None if there are none.
  """
  pairs = patients.pair_scans(scans_a, scans_b)
  if not pairs:
    warn(
      'warning: data.test_a and data.test_b share no name and no patient, so '
      'there are no pairs to score'
    )
    return None
  firsts, seconds = zip(*pairs, strict=True)
  a = open_source('test_a', firsts)
  centers = {name: each.centers for name, each in a.scans.items()}
  b = open_source('test_b', seconds, centers=centers)
  astray = [
    name
    for name, each in a.scans.items()
    # A blank slice is not among the scans.
    if name in b.scans and each.grid != b.scans[name].grid
  ]
  if astray:
    warn(
      f'warning: the two scans of {", ".join(astray)} lie on different grids '
      'and are not scored while training; --mode=evaluate resamples them'
    )
  names = {
    first.name
    for first, second in _match(a.slices, b.slices)
    if max(first.head, second.head) >= SHOWN and first.scan not in astray
  }
  if not names:
    return None
  return {
    domain: dataclasses.replace(
      each, slices=tuple(s for s in each.slices if s.name in names)
    )
    for domain, each in (('a', a), ('b', b))
  }


def _match(slices_a, slices_b):
  by_name = {each.name: each for each in slices_b}
  for each in slices_a:
    if each.name in by_name:
      yield each, by_name[each.name]
