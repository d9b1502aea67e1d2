"""What tells a whole translation from a part of one: a record beside it.

A translation gets its name when all of it is written, and right before that its
sidecar, which says how much it is. A process can be killed at any moment; what
a disk has lost, or a copy has not brought, is noticed too.
"""

from collections.abc import Iterable
from collections.abc import Mapping
import json
import os
import pathlib
from typing import Any
from typing import NamedTuple

from cyclegan_jax.inference import plan as plan_lib
from cyclegan_jax.mri.formats import dispatch

# What an output of another checkpoint says differently.
_ORIGIN = ('run', 'checkpoint', 'direction')


class Output(NamedTuple):
  """What lies where a translation goes.

  Attributes:
    taken: whether it is to be left as it is: whole, or not ours to judge.
    short: whether it is less than its record says.
    sidecar: what we said of it; of what is not ours, nothing.
  """

  taken: bool
  short: bool
  sidecar: Mapping[str, Any]


def complete(scan: dispatch.Scan, written: pathlib.Path) -> dict[str, Any]:
  """The record of a translation, for its sidecar.

  Args:
    scan: its source.
    written: where all of it is.
  """
  files, size = _measure(written)
  return {
    'complete': {
      'files': files,
      'bytes': size,
      'source_bytes': _size_of(scan),
    }
  }


def look(job: plan_lib.Job) -> Output:
  """Looks whether a translation, or something else in its place, is there.

  What has no record, of an older version or of somebody else, is taken for
  whole unless there is nothing in it.
  """
  sidecar = _read(job.sidecar)
  ours = sidecar or {}
  files, size = _measure(job.target)
  if not files:
    # The sidecar of an interrupted translation may be replaced, no other.
    return Output(taken=sidecar is None, short=False, sidecar=ours)
  record = _record(ours)
  short = files < record.get('files', 0) or size < record.get('bytes', 0)
  return Output(taken=not short, short=short, sidecar=ours)


def compare(
  found: Iterable[tuple[plan_lib.Job, Output]], details: Mapping[str, Any]
) -> list[str]:
  """In words, how many outputs would come out differently today.

  Args:
    found: jobs and what is there.
    details: what a sidecar written now would say.
  """
  strange = changed = 0
  for job, output in found:
    said = output.sidecar
    strange += any(said.get(k, details[k]) != details[k] for k in _ORIGIN)
    size = _record(said).get('source_bytes')
    changed += size is not None and size != _size_of(job.scan)
  told = []
  if strange:
    told.append(f'{strange} of another run, checkpoint or direction')
  if changed:
    told.append(f'{changed} of a source whose size has changed')
  return told


def _read(sidecar) -> dict[str, Any] | None:
  """What we said in it, nothing if it is empty; None if somebody else did."""
  try:
    text = sidecar.read_text()
    if not text:
      return {}
    said = json.loads(text)
    return said if said.get('synthetic') else None
  except FileNotFoundError:
    return {}
  except (OSError, ValueError, AttributeError):
    return None


def _record(sidecar):
  record = sidecar.get('complete')
  return record if isinstance(record, dict) else {}


def _measure(path) -> tuple[int, int]:
  """Files, and their bytes; none for what is not there or has nothing in it."""
  if path.is_dir():
    with os.scandir(path) as entries:
      sizes = [entry.stat(follow_symlinks=False).st_size for entry in entries]
    return len(sizes), sum(sizes)
  size = path.stat().st_size if path.exists() else 0
  return int(size > 0), size


def _size_of(scan):
  try:
    return sum(path.stat().st_size for path in scan.paths)
  except OSError:  # a link to itself, or gone since it was found
    return -1
