"""Which scan is translated to where, so that nothing is lost."""

from collections.abc import Sequence
import os
import pathlib
from typing import NamedTuple

from cyclegan_jax import errors
from cyclegan_jax.mri.formats import dispatch

# What cannot be written, or not without loss, is written as something alike.
_WRITTEN_AS = {
  '.nhdr': '.nrrd',
  '.mhd': '.mha',
  '.jpg': '.png',
  '.jpeg': '.png',
}


class Job(NamedTuple):
  """A scan and where its translation goes: a file, or a DICOM folder."""

  scan: dispatch.Scan
  target: pathlib.Path

  @property
  def sidecar(self) -> pathlib.Path:
    return self.target.with_name(f'{dispatch.stem_of(self.target.name)}.json')

  @property
  def preview(self) -> pathlib.Path:
    stem = dispatch.stem_of(self.target.name)
    return self.target.with_name(f'{stem}_preview.png')

  @property
  def page(self) -> pathlib.Path:
    return self.preview.with_suffix('.html')


def plan_jobs(
  found: Sequence[dispatch.Scan], source: str, target: str
) -> list[Job]:
  """What to translate to where.

  Args:
    found: the scans of `source`.
    source: as the user named it.
    target: a file whose suffix names the format, or a folder: for one DICOM
      series its own, for others one that mirrors the tree of `source`.

  Raises:
    UserError: if `target` cannot hold it, or would replace a source.
  """
  root, place = pathlib.Path(source), pathlib.Path(target)
  if root.is_dir() and _real(root) in _real(target).parents:
    raise errors.UserError(
      f'--target={target} is inside --source; name a place outside of it'
    )
  single = dispatch.is_file_target(place)
  if single and len(found) > 1:
    raise errors.UserError(
      f'--source={source} holds {len(found)} scans and --target={target} one '
      'file; name a folder'
    )
  named = single or (len(found) == 1 and found[0].module == 'dicom')
  jobs = [Job(found[0], place)] if named else _mirror(found, place)
  sources = {_real(path) for scan in found for path in scan.paths}
  folders = {path.parent for path in sources}
  for job in jobs:
    written = job.target, job.sidecar, job.preview, job.page
    outputs = {_real(path) for path in written}
    if outputs & (sources | folders):  # a DICOM series is a folder
      raise errors.UserError(
        f'{job.target} would replace a scan of --source; name another --target'
      )
    # Beside a scan only under a name that somebody has chosen: as x.png beside
    # x.jpg, the next training would take it for a scan.
    if _real(job.target).parent in folders and (
      not named or dispatch.stem_of(job.target.name) in _stems(job.scan)
    ):
      raise errors.UserError(
        f'{job.target} would lie beside the scan it is made from, under its '
        'name; name another --target'
      )
  return jobs


def _real(path):
  # Not `resolve`, which raises at a link that leads to itself.
  return pathlib.Path(os.path.realpath(path))


def _stems(scan):
  return {dispatch.stem_of(path.name) for path in scan.paths}


def _mirror(found, target):
  """Every scan under its own name, which tells its suffix if two share it."""
  jobs = []
  for scan in found:
    suffix = dispatch.suffix_of(scan.paths[0])
    name, own = scan.name, ''
    if scan.module != 'dicom':
      own = _WRITTEN_AS.get(suffix, suffix)
      if name.endswith(suffix):
        name = name.removesuffix(suffix) + suffix.replace('.', '_')
    jobs.append(Job(scan, target / f'{name}{own}'))
  inner = {parent for job in jobs for parent in job.target.parents}
  return [  # a series gets a folder of its own if others lie in its own
    job._replace(target=job.target / 'dicom') if job.target in inner else job
    for job in jobs
  ]
