"""Held-out people: nobody known to the networks, both scans of each."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os

from cyclegan_jax import errors
from cyclegan_jax.mri import cache
from cyclegan_jax.mri import formats
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import slices

# A slice with a smaller share of head, its very top say, is not scored.
SHOWN = 0.01


def check_patients(
  found: Mapping[str, Sequence[formats.Scan]], *, warn: Callable[[str], None]
):
  """Checks that nobody is scored whom the networks have been trained on.

  Args:
    found: scans of 'train_a', 'train_b' and perhaps 'test_a', 'test_b'.
    warn: called if a patient is in both training domains.

  Raises:
    UserError: naming patients in training and test.
  """
  for train in ('train_a', 'train_b'):
    for test in ('test_a', 'test_b'):
      both = find_common(found[train], found.get(test, ()))
      if both:
        raise errors.UserError(
          f'{_list_some(both)} in both data.{train} and data.{test}: scores '
          'would be those of people the networks know; leave them out of one'
        )
  both = find_common(found['train_a'], found['train_b'])
  if both:
    warn(
      f'warning: {_list_some(both)} in both training domains; training is '
      'unpaired and makes no use of it'
    )


def find_common(
  first: Sequence[formats.Scan], second: Sequence[formats.Scan]
) -> list[str]:
  """Names of the patients who have scans in both."""
  marks = set().union(*map(scans.tell_apart, first))
  return sorted(
    {scan.patient for scan in second if scans.tell_apart(scan) & marks}
  )


def mark_people(found: Sequence[formats.Scan]) -> dict:
  """What tells these patients apart, unreadable for people.

  Salted: nobody can have hashed a list of names beforehand, and the marks of
  two runs cannot be held against each other.

  Returns:
    'salt' and 'marks', for a checkpoint.
  """
  salt = os.urandom(16).hex()
  marks = set().union(*(_hash(scan, salt) for scan in found))
  return {'salt': salt, 'marks': sorted(marks)}


def find_known(found: Sequence[formats.Scan], people: Mapping) -> list[str]:
  """Names of those patients who have been marked.

  Args:
    found: their scans.
    people: from `mark_people`; without a salt in older checkpoints.
  """
  marks = set(people['marks'])
  return sorted(
    {scan.patient for scan in found if marks & _hash(scan, people['salt'])}
  )


def _hash(scan, salt):
  marks = scans.tell_apart(scan)
  if scan.is_picture:  # of which there are thousands
    marks -= {os.path.realpath(path) for path in scan.paths}
  salts = () if salt is None else (salt,)
  return {cache.hash_text(*salts, mark)[:16] for mark in marks}


def open_pairs(
  scans_a: Sequence[formats.Scan],
  scans_b: Sequence[formats.Scan],
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
  pairs = scans.pair_scans(scans_a, scans_b)
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


def _list_some(names):
  some = ', '.join(names[:3])
  if len(names) > 3:
    some += f' and {len(names) - 3} more'
  return f'patient{"s" * (len(names) > 1)} {some}'
