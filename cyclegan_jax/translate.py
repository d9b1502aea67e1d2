"""Translation: scans in, synthetic scans with the same geometry out."""

import functools
import os
import pathlib

from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import one_scan
from cyclegan_jax.inference import cohort
from cyclegan_jax.inference import plan as plan_lib
from cyclegan_jax.inference import records
from cyclegan_jax.inference import shares
from cyclegan_jax.mri import identity
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.runtime import kept


def translate(
  workdir: str,
  *,
  direction: str,
  source: str,
  target: str,
  planes: list[str] | None = None,
  volume: int = -1,
  voxel_type: str = 'float32',
  batch_size: int = 4,
  checkpoint: str = 'newest',
  overwrite: bool = False,
  preview: bool = False,
  shard: str | None = None,
  deidentify: bool = False,
):
  """Translates every scan of `source`, or this process's share of them.

  Args:
    workdir: of the run whose generators translate, or what was packed of it.
    direction: 'ab' or 'ba'.
    source: a scan, a DICOM folder, a folder of many scans, or a pattern.
    target: a file whose suffix names the format, or a folder: for one DICOM
      series its own, for others one that mirrors the tree of `source`.
    planes: to average over; empty: the first the model was trained on.
    volume: which volume of 4-D files; -1: as in training.
    voxel_type: 'float32', or 'input' for the type of the source's voxels.
    batch_size: slices at a time, on each device.
    checkpoint: 'newest', 'best' as judged without pairs, or a step.
    overwrite: whether to replace what exists.
    preview: whether to draw every translation beside its source.
    shard: 'I/N', the share of this process; None: as the scheduler says.
    deidentify: whether results leave out who they are of: DICOM elements by
      the standard's basic profile, names of files that are not named by
      `target`, the source's name.

  Raises:
    UserError: for a mistake in the arguments, or if a single scan fails.
    errors.Incomplete: if some of several scans fail; the others are done.
  """
  home = kept.make_home(workdir) if deidentify else None
  pseudonyms = home and identity.open_pseudonyms(home)
  jobs = _plan(source, target, pseudonyms)
  alone = len(jobs) == 1
  share = shares.choose(shard, os.environ)
  if alone and shard is None:
    share = shares.WHOLE  # a task that names one scan means it
  # All jobs are divided, not what is left of them: that changes all the time.
  mine = share.pick(jobs)
  found = _look(mine)
  todo = [job for job, output in found if overwrite or not output.taken]
  if alone and mine and not todo:
    raise errors.UserError(f'{jobs[0].target} exists; --overwrite replaces it')
  path = kept.find(workdir, checkpoint)
  read = _read_early(todo[0].scan, volume) if alone and todo else None
  model = _load_model(path, direction)
  if share.count > 1:
    advice = '; --shard=0/1 takes them all' if shard is None else ''
    console.say(f'{share}: {len(mine)} of {len(jobs)} scans{advice}')
  _tell(found, todo, model, workdir)
  translate_scan = functools.partial(
    one_scan.translate_scan,
    model=model,
    settings=one_scan.choose_slices(model.settings[0], planes, volume),
    voxel_type=voxel_type,
    batch_size=batch_size,
    overwrite=overwrite,
    preview=preview,
    pseudonyms=pseudonyms,
  )
  if alone and todo:
    (job,) = todo
    with console.follow(1) as start:
      report = start(1, job.scan.name)
      translate_scan(job, read=read, report=report)
    console.say(str(job.target))
    return
  # It names sources: not to lie beside what leaves out who they are of.
  place = home or pathlib.Path(target)
  _translate_all(todo, translate_scan, cohort.open_list(place, share))


def _translate_all(todo, translate_scan, failures):
  failed = cohort.translate_all(todo, translate_scan, failures=failures)
  if failed:
    others = 'the others are done' if len(failed) < len(todo) else 'all of them'
    raise errors.Incomplete(
      f'{len(failed)} of {len(todo)} scans could not be translated, {others}; '
      f'{failures} lists them; the first: {failed[0]}'
    )


def _look(jobs):
  """What is there of each, once what killed processes left has gone."""
  for folder in {job.target.parent for job in jobs}:
    files.sweep(folder)
  return [(job, records.look(job)) for job in jobs]


def _plan(source, target, pseudonyms):
  """What to translate to where, under other names where they are to be."""
  found = scans.find_scans(source, warn=_note)
  if pseudonyms:
    found = pseudonyms.rename(found)
  return plan_lib.plan_jobs(found, source, target)


def _note(line):
  console.say(f'note: {line}')


def _read_early(scan, index):
  """A single scan, so that what is wrong with it is told before all else.

  None if only the model knows which volume of it is meant.
  """
  try:
    return dispatch.read_scan(scan, index=None if index < 0 else index)
  except volume_lib.NotChosenError:
    return None


def _load_model(path, direction):
  # JAX takes seconds to import: not before the source is known to be good.
  from cyclegan_jax import restore

  return restore.load_translators(path, [direction])[direction]


def _tell(found, todo, model, workdir):
  """Says what is to be done, and of what is there why it stays or does not."""
  a, b = model.domains
  several = f' on {model.devices} devices' if model.devices > 1 else ''
  console.say(
    f'{len(todo)} scan{"s" * (len(todo) != 1)} from {a} to {b}{several}, '
    f'checkpoint {model.step} of {workdir}; the results are synthetic, not for '
    'diagnosis'
  )
  again = {job.target for job in todo}
  kept = [each for each in found if each[0].target not in again]
  if kept:
    console.say(
      f'{len(kept)} exist already and are left as they are; --overwrite '
      'replaces them'
    )
  for note in records.compare(kept, model.provenance().details):
    console.say(f'note: among them are {note}')
  for job, output in found:
    if output.short:
      console.say(
        f'note: {job.target} is less than was written, and is made again'
      )
