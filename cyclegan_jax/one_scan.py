"""One scan translated, from reading to writing: of flags and of programs."""

from collections.abc import Sequence
import dataclasses

from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import preview as preview_lib
from cyclegan_jax.inference import plan
from cyclegan_jax.inference import records
from cyclegan_jax.inference import translation
from cyclegan_jax.inference import voxel_types
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import identity
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dispatch

_LEVELS = 16  # a result of fewer is none


def translate_scan(
  job: plan.Job,
  *,
  model: translation.Translator,
  settings: framing.SliceSettings,
  voxel_type: str = 'float32',
  batch_size: int = 4,
  overwrite: bool = False,
  preview: bool = False,
  pseudonyms: identity.Pseudonyms | None = None,
  report: translation.Report = lambda done, total: None,
  read: volume_lib.Volume | None = None,
) -> bool:
  """Translates a scan to where it is to go, with what is told of it beside it.

  Args:
    job: the scan, and where.
    model: that translates.
    settings: of its slices, from `choose_slices`.
    voxel_type: 'float32', or 'input' for the type of the source's voxels.
    batch_size: slices at a time, on each device.
    overwrite: whether to replace what exists.
    preview: whether to draw the translation beside its source.
    pseudonyms: in place of who the scan is of; None: that is carried over.
    report: called with the slices done and their number.
    read: the scan, where it has been read already.

  Returns:
    False if it is there already, of another process perhaps.

  Raises:
    UserError: naming the scan and what is wrong with it.
  """
  scan = job.scan
  if not overwrite and records.look(job).taken:
    return False
  volume, scaling = translation.read_scaled(scan, model, settings, read)
  for note in volume.notes:
    console.say(f'note: {scan.place}: {note}')
  with dispatch.naming(scan):
    if pseudonyms:
      identity.check_pixels(volume.header)
    fake, target = translation.translate_scaled(
      model,
      volume,
      scaling,
      settings=settings,
      batch_size=batch_size,
      report=report,
    )
  pictured = target.kind == 'white'
  voxels = _as_type(fake.voxels, voxel_type, volume, scan, pictured)
  provenance = dataclasses.replace(model.provenance(), pseudonyms=pseudonyms)
  name = scan.paths[0].name if scan.module != 'dicom' else scan.name
  said = provenance.details | {
    **({'deidentified': True} if pseudonyms else {'source': name}),
    'planes': list(settings.planes),
    'intensities': _describe_units(
      target, known=bool(model.intensities[1].quantiles)
    ),
  }
  if not overwrite and records.look(job).taken:
    return False
  if preview:
    shown = {key: x for key, x in said.items() if not isinstance(x, dict)}
    own = scan.name if pseudonyms else name
    _draw(job, model, own, (volume, scaling), (fake, target), shown)
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


def _draw(job, model, name, source, made, details):
  """A preview of two volumes, each with its scaling."""
  preview_lib.write(
    job.preview,
    job.page,
    name=name,
    volume=source[0],
    scaling=source[1],
    fake=made[0],
    target=made[1],
    translator=model,
    details=details,
  )


def _as_type(voxels, voxel_type, volume, scan, pictured):
  if voxel_type != 'input' and not pictured:
    return voxels
  # A picture keeps its black and white: it has as many levels as it shows, and
  # a black one stays black.
  levels = 0 if pictured else _LEVELS
  return voxel_types.convert(voxels, volume.voxels.dtype, scan, levels=levels)


def choose_slices(
  settings: framing.SliceSettings,
  planes: Sequence[str] | None = None,
  volume: int = -1,
) -> framing.SliceSettings:
  """What a model was trained on, changed as a person wants it.

  Args:
    settings: of the model.
    planes: to average over; none: the first it was trained on.
    volume: which one of 4-D files; -1: as in training.

  Raises:
    UserError: for a plane it was not trained on.
  """
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


def _describe_units(target, *, known):
  meaning = 'units of the target contrast, as typical of the training scans'
  if target.kind == 'white':
    meaning = 'those of the source picture'
  elif target.kind == 'window':
    meaning = 'those of the window'
  elif not known:  # of an imported model
    meaning = 'of no scanner: those of the training scans are not known'
  return {
    'meaning': meaning,
    'air_to_bright': [target.background, target.bright],
  }
