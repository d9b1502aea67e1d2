"""Translation: scans in, synthetic scans with the same geometry out."""

import pathlib

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import inference
from cyclegan_jax import pictures
from cyclegan_jax import screen
from cyclegan_jax.mri import formats
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume as volume_lib


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
  overwrite: bool = False,
  preview: bool = False,
):
  """Translates every scan of `source`.

  Args:
    workdir: of the run whose newest checkpoint translates.
    direction: 'ab' or 'ba'.
    source: a scan, a DICOM folder, a folder of many scans, or a pattern.
    target: a file whose suffix names the format, or a folder: for one DICOM
      series its own, for others one that mirrors the tree of `source`.
    planes: to average over; empty: the first the model was trained on.
    volume: which volume of 4-D files; -1 refuses them.
    voxel_type: 'float32', or 'input' for the type of the source's voxels.
    batch_size: slices at a time.
    overwrite: whether to replace what exists.
    preview: whether to draw every translation beside its source.

  Raises:
    UserError: for a mistake in the arguments, or if a single scan fails.
    errors.Incomplete: if some of several scans fail; the others are done.
  """
  found = scans.find_scans(source)
  jobs = _plan(found, pathlib.Path(source), pathlib.Path(target))
  todo = [job for job in jobs if overwrite or not _is_taken(job[1])]
  if len(jobs) == 1 and not todo:
    raise errors.UserError(f'{jobs[0][1]} exists; --overwrite replaces it')
  model = inference.load_translators(workdir, [direction])[direction]
  framing = _choose_planes(model.framings[0], planes)
  framing = framing._replace(volume=None if volume < 0 else volume)
  a, b = model.domains
  screen.say(
    f'{len(todo)} scans from {a} to {b}, checkpoint {model.step} of {workdir}; '
    'the results are synthetic, not for diagnosis'
  )
  if len(todo) < len(jobs):
    screen.say(
      f'{len(jobs) - len(todo)} exist already and are left as they are; '
      '--overwrite replaces them'
    )

  failed = []
  for done, (scan, path) in enumerate(todo, 1):
    count = f'{done} of {len(todo)}: ' if len(todo) > 1 else ''
    try:
      _translate_scan(
        scan,
        path,
        model,
        framing,
        voxel_type=voxel_type,
        batch_size=batch_size,
        preview=preview,
        report=screen.report_progress(f'{count}{scan.name}'),
      )
    except (errors.UserError, OSError) as error:
      if len(jobs) == 1:
        raise errors.UserError(str(error)) from None
      failed.append(error)
      screen.say(f'{count}failed: {error}')
    else:
      screen.say(f'{count}{path}')
  if failed:
    raise errors.Incomplete(
      f'{len(failed)} of {len(todo)} scans could not be translated, the others '
      f'are done; the first: {failed[0]}'
    )


def _translate_scan(
  scan, path, model, framing, *, voxel_type, batch_size, preview, report
):
  volume, scaling = inference.read_scaled(scan, framing, model.scalings[0])
  for note in volume.notes:
    screen.say(f'note: {scan.place}: {note}')
  # A picture's white stays white; a scan gets the other contrast's units.
  pictured = scaling.kind == 'white'
  target = scaling if pictured else model.scalings[1]
  try:
    fake = inference.translate_volume(
      model.generate,
      volume,
      batch_size=batch_size,
      framing=framing,
      multiple=model.multiple,
      scaling=scaling,
      target=target,
      report=report,
    )
  except errors.UserError as error:
    raise errors.UserError(f'{scan.place}: {error}') from None
  voxels = fake.voxels
  kind = volume.voxels.dtype
  if (pictured or voxel_type == 'input') and kind.kind in 'iu':
    limits = np.iinfo(kind)
    voxels = voxels.round().clip(limits.min, limits.max).astype(kind)
  elif voxel_type == 'input':
    voxels = voxels.astype(kind)

  provenance = model.provenance()
  formats.write_scan(path, voxels, volume, provenance)
  stem = path.name.removesuffix(formats.suffix_of(path))
  files.write_json(
    path.with_name(f'{stem}.json'),
    provenance.details
    | {
      'source': scan.paths[0].name if len(scan.paths) == 1 else scan.name,
      'planes': list(framing.planes),
      'intensities': {
        'meaning': (
          'those of the source picture'
          if pictured
          else 'units of the target contrast, as typical of the training scans'
        ),
        'air_to_bright': [target.background, target.bright],
      },
    },
  )
  if preview:
    picture = draw_preview(volume, scaling, fake, target, model.domains)
    with files.replace_file(path.with_name(f'{stem}.png')) as partial:
      picture.save(partial, format='PNG')


def draw_preview(volume, scaling, fake, target, domains):
  """Three planes through the middle of the head, the translation below.

  Args:
    volume: the source.
    scaling: of its intensities.
    fake: its translation.
    target: of the translation's intensities.
    domains: names of the two contrasts.
  """
  rows = []
  center = None
  for each, knots in ((volume, scaling), (fake, target)):
    unit = intensity.to_unit(each.voxels, knots)
    if center is None:
      mask = each.voxels > knots.foreground
      center = [
        int(np.flatnonzero(mask.any(axis=others)).mean())
        if mask.any()
        else mask.shape[axis] // 2
        for axis, others in enumerate(((1, 2), (0, 2), (0, 1)))
      ]
    rows.append(_cut(unit, each.affine, center))
  labels = (f'{domains[0]}\nsource', f'{domains[1]}\nsynthetic')
  return pictures.draw_planes(
    list(zip(labels, rows, strict=True)),
    caption=f'{domains[0]} to {domains[1]}',
    pixel_sizes=[
      volume_lib.plane_spacing(volume.affine, plane)[1:]
      for plane in volume_lib.PLANES
    ],
  )


def _cut(unit, affine, center):
  """The planes through a voxel, [H, W] in [0, 1]."""
  marked = np.zeros(unit.shape, bool)
  marked[tuple(center)] = True
  cuts = []
  for plane in volume_lib.PLANES:
    at = np.argwhere(volume_lib.to_plane(marked, affine, plane))[0, 0]
    cuts.append((volume_lib.to_plane(unit, affine, plane)[at] + 1) / 2)
  return cuts


def _is_taken(path):
  return any(path.iterdir()) if path.is_dir() else path.exists()


def _choose_planes(framing, planes):
  if not planes:
    return framing._replace(planes=framing.planes[:1])
  strange = sorted(set(planes) - set(framing.planes))
  if strange:
    raise errors.UserError(
      f'--planes: the model was trained on {", ".join(framing.planes)} slices, '
      f'not on {", ".join(strange)}'
    )
  return framing._replace(planes=tuple(planes))


def _plan(found, source, target):
  """Pairs of scan and where its translation goes.

  Raises:
    UserError: if `target` cannot hold them.
  """
  if target.resolve() == source.resolve() or (
    source.is_dir() and source.resolve() in target.resolve().parents
  ):
    raise errors.UserError(
      f'--target={target} is inside --source; name a place outside of it'
    )
  suffix = formats.suffix_of(target)
  if suffix and not target.is_dir():
    formats.check_target(target)
    if len(found) > 1:
      raise errors.UserError(
        f'--source={source} holds {len(found)} scans and --target={target} one '
        'file; name a folder'
      )
    return [(found[0], target)]
  if len(found) == 1 and found[0].module == 'dicom':
    return [(found[0], target)]
  jobs = []
  for scan in found:
    own = '' if scan.module == 'dicom' else formats.suffix_of(scan.paths[0])
    own = {
      '.nhdr': '.nrrd',
      '.mhd': '.mha',
      '.jpg': '.png',
      '.jpeg': '.png',
    }.get(own, own)
    name = scan.name.removesuffix(formats.suffix_of(scan.paths[0]))
    jobs.append((scan, target / f'{name}{own}'))
  return jobs
