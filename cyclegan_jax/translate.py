"""Translation: scans in, synthetic scans with the same geometry out."""

import dataclasses
import functools
import os
import pathlib

from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import preview as preview_lib
from cyclegan_jax.inference import cohort
from cyclegan_jax.inference import plan as plan_lib
from cyclegan_jax.inference import records
from cyclegan_jax.inference import shares
from cyclegan_jax.inference import translation
from cyclegan_jax.inference import voxel_types
from cyclegan_jax.mri import identity
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.runtime import kept

_LEVELS = 16  # a result of fewer is none


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
    _translate_scan,
    model=model,
    settings=_choose_slices(model.settings[0], planes, volume),
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


def _translate_scan(
  job,
  *,
  model,
  settings,
  voxel_type,
  batch_size,
  overwrite,
  preview,
  pseudonyms,
  report,
  read=None,
):
  """False if another process has translated it meanwhile."""
  scan = job.scan
  if not overwrite and records.look(job).taken:
    return False
  volume, scaling = translation.read_scaled(scan, model, settings, read)
  for note in volume.notes:
    console.say(f'note: {scan.place}: {note}')
  # A picture's white stays white; a scan gets the other contrast's units.
  pictured = scaling.kind == 'white'
  target = scaling if pictured else model.intensities[1].scaling
  with dispatch.naming(scan):
    if pseudonyms:
      identity.check_pixels(volume.header)
    fake = translation.translate_volume(
      model.generate,
      volume,
      batch_size=batch_size * model.devices,
      settings=settings,
      multiple=model.multiple,
      scaling=scaling,
      target=target,
      channels=model.channels,
      report=report,
    )
  voxels = fake.voxels
  if voxel_type == 'input' or pictured:
    # A picture keeps its black and white: it has as many levels as it shows,
    # and a black one stays black.
    levels = 0 if pictured else _LEVELS
    voxels = voxel_types.convert(
      voxels, volume.voxels.dtype, scan, levels=levels
    )
  provenance = dataclasses.replace(model.provenance(), pseudonyms=pseudonyms)
  name = scan.paths[0].name if scan.module != 'dicom' else scan.name
  said = provenance.details | {
    **({'deidentified': True} if pseudonyms else {'source': name}),
    'planes': list(settings.planes),
    'intensities': _describe_units(target, pictured),
  }
  if not overwrite and records.look(job).taken:
    return False
  if preview:
    preview_lib.write(
      job.preview,
      job.page,
      name=scan.name if pseudonyms else name,
      volume=volume,
      scaling=scaling,
      fake=fake,
      target=target,
      translator=model,
      details={key: x for key, x in said.items() if not isinstance(x, dict)},
    )
  dispatch.write_scan(
    job.target,
    voxels,
    volume,
    provenance,
    # The scan comes last: where it is, all the rest is.
    finish=lambda written: files.write_json(
      job.sidecar, said | records.complete(scan, written)
    ),
  )
  return True


def _describe_units(target, pictured):
  return {
    'meaning': (
      'those of the source picture'
      if pictured
      else 'units of the target contrast, as typical of the training scans'
    ),
    'air_to_bright': [target.background, target.bright],
  }


def _choose_slices(settings, planes, volume):
  if volume >= 0:
    settings = settings._replace(index=volume)
  if not planes:
    return settings._replace(planes=settings.planes[:1])
  planes = list(dict.fromkeys(planes))
  strange = [each for each in planes if each not in settings.planes]
  if strange:
    raise errors.UserError(
      f'--planes: the model was trained on {", ".join(settings.planes)} '
      f'slices, not on {", ".join(map(repr, strange))}'
    )
  return settings._replace(planes=tuple(planes))
