"""A translation beside its source, for a person to look at."""

import pathlib

import numpy as np

from cyclegan_jax import files
from cyclegan_jax.evaluation import cases
from cyclegan_jax.evaluation import views
from cyclegan_jax.inference import translation
from cyclegan_jax.mri import channels
from cyclegan_jax.mri import head
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.pages import viewer
from cyclegan_jax.reporting import pictures

# Left and right of a plane's pictures, as `volume.PLANES` turns them.
_SIDES = {'axial': 'RL', 'coronal': 'RL', 'sagittal': 'AP'}
_LARGEST = 192  # voxels along an axis of what a page shows


def write(
  path: pathlib.Path,
  page: pathlib.Path,
  *,
  name: str,
  volume: volume_lib.Volume,
  scaling: intensity.Scaling,
  fake: volume_lib.Volume,
  target: intensity.Scaling,
  translator: translation.Translator,
  details: dict,
):
  """Writes three planes as a picture, and all of them as a page.

  Args:
    path: of the PNG.
    page: of the HTML.
    name: of the scan, for people.
    volume: the source.
    scaling: of its intensities.
    fake: its translation.
    target: of the translation's intensities.
    translator: that made it.
    details: what is told of how it was made.
  """
  units = [
    (intensity.to_unit(channels.to_gray(each.voxels), knots) + 1) / 2
    for each, knots in ((volume, scaling), (fake, target))
  ]
  stacks = [volume_lib.to_plane(unit, volume.affine, 'axial') for unit in units]
  heads = head.find_heads(stacks[0])
  a, b = translator.domains
  picture = _draw(units, heads, volume, translator.domains, name)
  with files.replace_file(path) as partial:
    picture.save(partial, format='PNG')
  source, made = translator.direction
  flat = not volume.measured or len(stacks[0]) < 2
  spacing = volume_lib.plane_spacing(volume.affine, 'axial')
  case = cases.Case(
    name=name,
    patient=name,
    images={source: stacks[0], f'fake_{made}': stacks[1]},
    masks={'both': heads},
    spacing=None if flat else spacing,
  )
  viewer.write(
    page,
    views.make(case, largest=_LARGEST),
    domains=(a, b) if translator.direction == 'ab' else (b, a),
    title=f'{name}: {a} to {b}',
    details=details,
    picture=path,
  )


def _draw(units, heads, volume, domains, name):
  """Three planes through the middle of the head, the translation below."""
  mask = volume_lib.from_plane(heads, volume.affine, 'axial')
  center = [
    int(np.flatnonzero(mask.any(axis=others)).mean())
    if mask.any()
    else mask.shape[axis] // 2
    for axis, others in enumerate(((1, 2), (0, 2), (0, 1)))
  ]
  rows = [_cut(unit, volume.affine, center) for unit in units]
  labels = (f'{domains[0]}\nsource', f'{domains[1]}\nsynthetic')
  return pictures.draw_planes(
    list(zip(labels, rows, strict=True)),
    caption=f'{name}: {domains[0]} to {domains[1]}',
    pixel_sizes=tuple(
      volume_lib.plane_spacing(volume.affine, plane)[1:]
      for plane in volume_lib.PLANES
    ),
    # Where no orientation is known, right and left are not either.
    sides=tuple(_SIDES.values()) if volume.measured else None,
  )


def _cut(unit, affine, center):
  """The planes through a voxel, [H, W] in [0, 1]."""
  marked = np.zeros(unit.shape, bool)
  marked[tuple(center)] = True
  cuts = []
  for plane in volume_lib.PLANES:
    at = np.argwhere(volume_lib.to_plane(marked, affine, plane))[0, 0]
    cuts.append(volume_lib.to_plane(unit, affine, plane)[at])
  return cuts
