"""Volumes to look at: a few patients, kept small, as NIfTI files in a folder.

The grid is that of the pictures: the nearest anatomical axes, so that what is
oblique is drawn straight. Grey levels are those of the scores, 0 to 255.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import gzip
import os
import pathlib
import shutil

import nibabel as nib
import numpy as np

from cyclegan_jax import files
from cyclegan_jax.evaluation import cases
from cyclegan_jax.mri import volume as volume_lib

FOLDER = 'views'
STAGES = ('a', 'b', 'fake_b', 'fake_a')
_LARGEST = 128  # voxels along an axis: a page of HTML holds several volumes
_MARGIN = 3  # voxels around the head


@dataclasses.dataclass(frozen=True)
class View:
  """One patient as a page shows them.

  Attributes:
    name: of the scan.
    rank: 'best', 'worst' or nothing.
    images: by `STAGES`, [S, H, W] uint8; those that there are.
    affine: [4, 4], of the grid, voxel index to mm from its middle, RAS+.
    neighbours: whether slices lie beside each other: else only those of the
      plane they were cut along mean something.
  """

  name: str
  rank: str
  images: Mapping[str, np.ndarray]
  affine: np.ndarray
  neighbours: bool = True

  def describe(self) -> dict:
    """What is told of it beside its images, for JSON."""
    return {
      'name': self.name,
      'rank': self.rank,
      'neighbours': self.neighbours,
    }


def make(
  case: cases.Case, plane: str = 'axial', *, largest: int = _LARGEST
) -> View:
  """A case cropped to its head and shrunk to what a page can hold.

  Args:
    case: with its translations; without a spacing its slices are taken for
      pictures that are no neighbours.
    plane: along which it is sliced.
    largest: voxels along any axis.
  """
  known = case.spacing is not None
  stages = {name: case.images[name] for name in STAGES if name in case.images}
  mask = case.masks['both']
  box = []
  for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
    inside = np.flatnonzero(mask.any(axis=others))
    if not len(inside) or (axis == 0 and not known):
      box.append(slice(0, mask.shape[axis]))
      continue
    low = max(int(inside[0]) - _MARGIN, 0)
    box.append(slice(low, int(inside[-1]) + 1 + _MARGIN))
  cropped = {name: each[tuple(box)] for name, each in stages.items()}
  shape = next(iter(cropped.values())).shape
  steps = [-(-count // largest) for count in shape]
  if not known:
    steps[0] = 1
  spacing = np.multiply(case.spacing or (1.0, 1.0, 1.0), steps)
  images = {name: _shrink(each, steps) for name, each in cropped.items()}
  # A page shows the pictures of a stack of pictures as axial ones.
  affine = volume_lib.display_affine(
    plane if known else 'axial', tuple(spacing)
  )
  # Around the middle: from a corner all places would be on the left.
  middle = (np.array(next(iter(images.values())).shape) - 1) / 2
  affine[:3, 3] = -affine[:3, :3] @ middle
  return View(
    name=case.name, rank='', images=images, affine=affine, neighbours=known
  )


class Extremes:
  """The views of the best and of the worst patient so far."""

  def __init__(self):
    self._ranked: list[tuple[float, View]] = []
    self._count = 0

  def add(self, score: float, view: View):
    """Takes a patient's view in, and lets go of who is neither.

    Args:
      score: the higher, the better.
      view: of the patient.
    """
    self._count += 1
    ranked = sorted([*self._ranked, (score, view)], key=lambda each: -each[0])
    self._ranked = ranked if len(ranked) < 3 else [ranked[0], ranked[-1]]

  def views(self) -> list[View]:
    """Best first; of two patients, or without scores, nobody is called so."""
    views = [view for _, view in self._ranked]
    if self._count < 3 or self._ranked[0][0] == self._ranked[-1][0]:
      return views
    return [
      dataclasses.replace(view, rank=rank)
      for view, rank in zip(views, ('best', 'worst'), strict=True)
    ]


def write(
  workdir: pathlib.Path,
  views: Sequence[View],
  *,
  domains: Sequence[str],
  step: int,
):
  """Replaces the folder of views in a workdir.

  Args:
    workdir: of the run.
    views: to be kept; without any the folder goes.
    domains: names of a and b.
    step: of the checkpoint that translated.
  """
  folder = workdir / FOLDER
  with files.partial_folder(workdir) as parent:
    new = parent / FOLDER
    new.mkdir()
    told = []
    for number, view in enumerate(views):
      names = {stage: f'{number}_{stage}.nii.gz' for stage in view.images}
      for stage, name in names.items():
        (new / name).write_bytes(encode(view, stage, domains))
      told.append(view.describe() | {'files': names})
    index = {'domains': list(domains), 'checkpoint': step, 'views': told}
    files.write_json(new / 'index.json', index)
    shutil.rmtree(folder, ignore_errors=True)
    if views:
      os.rename(new, folder)


def encode(view: View, stage: str, domains: Sequence[str]) -> bytes:
  """One volume of a view as the bytes of a .nii.gz file."""
  image = nib.Nifti1Image(view.images[stage], view.affine)
  image.header.set_xyzt_units('mm')
  if stage.startswith('fake'):
    target = domains['ab'.index(stage[-1])]
    source = domains['ba'.index(stage[-1])]
    provenance = volume_lib.Provenance(source, target, {})
    image.header['descrip'] = provenance.plain_description
  return gzip.compress(image.to_bytes(), mtime=0)


def _shrink(images, steps):
  """Means over blocks, as uint8; what does not fill a block is left out."""
  shape = np.array(images.shape) // steps
  whole = images[tuple(slice(0, end) for end in shape * steps)]
  blocks = whole.reshape(np.stack([shape, steps], axis=1).ravel())
  return np.rint(blocks.mean(axis=(1, 3, 5)).clip(0, 1) * 255).astype(np.uint8)
