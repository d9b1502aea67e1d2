"""Whose a scan is: told from names, paired, kept apart, and not given away."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import os
import pathlib
import re

from cyclegan_jax import errors
from cyclegan_jax.mri.formats import dispatch

# What is left of a name when the contrast is taken off its end.
_CONTRAST = re.compile(
  r'[-_. ](t1|t1w|t1c|t1ce|t1gd|t1n|t2|t2w|t2f|flair|pd|pdw|ct|cbct|mr|mri|swi|'
  r'adc|dwi)$',
  re.IGNORECASE,
)

_ANYBODY = re.compile(
  r'(slice|image|images|img|im|scan|series|z|s|x|t1|t1w|t2|t2w|flair|pd|ct|mr|'
  r'mri|axial|coronal|sagittal)?[-_ ]?\d*',
  re.IGNORECASE,
)


def pair_scans(
  scans_a: Sequence[dispatch.Scan], scans_b: Sequence[dispatch.Scan]
) -> list[tuple[dispatch.Scan, dispatch.Scan]]:
  """Scans of the same: by name; else of a patient who has one in each.

  Pictures are paired with pictures only.

  Returns:
    Pairs, the second under the name of the first.
  """
  by_name = {(scan.name, scan.is_picture): scan for scan in scans_b}
  pairs, alone = [], []
  for scan in scans_a:
    if (scan.name, scan.is_picture) in by_name:
      pairs.append((scan, by_name.pop((scan.name, scan.is_picture))))
    else:
      alone.append(scan)
  for scan in alone:
    # Of all they have: what is left of many slices is not the same slice.
    same = [other for other in scans_a if _is_alike(scan, other)]
    others = [other for other in scans_b if _is_alike(scan, other)]
    if len(same) == len(others) == 1:
      pairs.append((scan, dataclasses.replace(others[0], name=scan.name)))
  return sorted(pairs, key=lambda pair: pair[0].name)


def tell_apart(scan: dispatch.Scan) -> set[str]:
  """What two scans of one person have in common, whatever their source.

  Names that could be anybody's, such as numbers, do not count; the place of a
  patient's own folder, or of the files, does.
  """
  marks = {os.path.realpath(path) for path in scan.paths}
  if scan.home:
    marks.add(os.path.realpath(scan.home))
  if is_person(scan.patient):
    marks.add(scan.patient)
  return marks


def patient_of(name: str, *, numbered: bool) -> str:
  """Whose scan a file is, told from its path below the folder named.

  A part like BIDS' 'sub-01' decides; else the first folder; else the file's
  name without its contrast: 'anna/T1' and 'anna_T1' are of 'anna'.

  Args:
    name: the path, with or without suffix.
    numbered: whether a number at its end is a slice's, not the patient's:
      then 'anna_z036' and 'anna_slice-036' are of 'anna'.
  """
  path = pathlib.PurePath(name)
  for part in path.parts:
    subject = re.match(r'sub-[A-Za-z0-9]+', part)
    if subject:
      return subject.group()
  if len(path.parts) > 1:
    return path.parts[0]
  stem = dispatch.stem_of(path.name)
  if numbered:
    stem = re.sub(r'[-_ .]([A-Za-z]*[-_ .]?)\d+$', '', stem) or stem
  return _CONTRAST.sub('', stem)


def hide(number: str) -> str:
  """A name for whom only a number in a header tells apart.

  The same in every run, and so no secret: who knows the number finds the name.
  But it is not read off the files that a run leaves.
  """
  return f'patient_{_hash_text("number", number)}'


def is_person(patient: str) -> bool:
  """Whether the name tells a person apart: 'slice' and '0017' do not."""
  return not _ANYBODY.fullmatch(patient)


def check_patients(
  found: Mapping[str, Sequence[dispatch.Scan]], *, warn: Callable[[str], None]
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
          'would be those of patients the networks know; leave them out of one'
        )
  both = find_common(found['train_a'], found['train_b'])
  if both:
    warn(
      f'warning: {_list_some(both)} in both training domains; training is '
      'unpaired and makes no use of it'
    )


def find_common(
  first: Sequence[dispatch.Scan], second: Sequence[dispatch.Scan]
) -> list[str]:
  """Names of the patients who have scans in both."""
  marks = set().union(*map(tell_apart, first))
  return sorted({scan.patient for scan in second if tell_apart(scan) & marks})


def mark(found: Sequence[dispatch.Scan]) -> dict:
  """What tells these patients apart, unreadable for people.

  Salted: nobody can have hashed a list of names beforehand, and the marks of
  two runs cannot be held against each other.

  Returns:
    'salt' and 'marks', for a checkpoint.
  """
  salt = os.urandom(16).hex()
  marks = set().union(*(_hash_scan(scan, salt) for scan in found))
  return {'salt': salt, 'marks': sorted(marks)}


def find_known(found: Sequence[dispatch.Scan], *marked: Mapping) -> list[str]:
  """Names of those patients who have been marked.

  Args:
    found: their scans.
    *marked: each from `mark`; without a salt in older checkpoints.
  """
  known = set()
  for each in marked:
    marks, salt = set(each['marks']), each['salt']
    known |= {x.patient for x in found if marks & _hash_scan(x, salt)}
  return sorted(known)


def _hash_scan(scan, salt):
  marks = tell_apart(scan)
  if scan.is_picture:  # of which there are thousands
    marks -= {os.path.realpath(path) for path in scan.paths}
  salts = () if salt is None else (salt,)
  return {_hash_text(*salts, mark) for mark in marks}


def _is_alike(first, second):
  """Whether two scans, by their names, are of one patient."""
  if first.is_picture != second.is_picture or first.patient != second.patient:
    return False
  return is_person(first.patient) or bool(first.home and second.home)


def _hash_text(*parts):
  """As older checkpoints have it."""
  return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _list_some(names):
  some = ', '.join(names[:3])
  if len(names) > 3:
    some += f' and {len(names) - 3} more'
  return f'patient{"s" * (len(names) > 1)} {some}'
