"""The door for programs: what a run has learnt, as a function of images."""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import one_scan
from cyclegan_jax import restore
from cyclegan_jax.inference import plan
from cyclegan_jax.inference import translation
from cyclegan_jax.mri import canvas
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.runtime import kept

# Whose images are taken and given, and the module that knows them.
_LIBRARIES = {'nibabel': 'nifti', 'SimpleITK': 'itk'}


@dataclasses.dataclass(frozen=True)
class Model:
  """One direction of a run. What it makes is synthetic, not for diagnosis.

  Attributes:
    translator: the network, and what is known of both contrasts.
    batch_size: slices at a time, on each device.
  """

  translator: translation.Translator
  batch_size: int = 4

  def __call__(
    self,
    image: Any,
    *,
    affine: Any = None,
    target: str | os.PathLike | None = None,
    planes: Iterable[str] = (),
    volume: int = -1,
    overwrite: bool = False,
  ) -> Any:
    """Translates a scan; the result lies on its grid, as its kind.

    float32, in units as are typical of the other contrast's training scans.

    Args:
      image: a nibabel or SimpleITK image, an array [I, J, K] with `affine`, or
        the path of a scan or DICOM folder with `target`.
      affine: [4, 4] of an array, voxel index to mm, RAS+ as in NIfTI.
      target: of a path, where the result goes, as with `--mode=translate`.
      planes: to average over; empty: the first the model was trained on.
      volume: which one of a 4-D image; -1: as in training.
      overwrite: whether `target` is replaced if it exists.

    Returns:
      A nibabel or SimpleITK image, an array, or the path of what was written.

    Raises:
      errors.UserError: for what cannot be translated, in a line.
    """
    settings = one_scan.choose_slices(
      self.translator.settings[0], list(planes), volume
    )
    if isinstance(image, (str, os.PathLike)):
      if target is None:
        raise errors.UserError(
          f'{os.fspath(image)} is a path: say where its translation goes, '
          'target=...'
        )
      return self._write(
        os.fspath(image), os.fspath(target), settings, overwrite
      )
    if isinstance(image, np.ndarray):
      if affine is None:
        raise errors.UserError(
          'an array does not say where its voxels lie: affine=..., 4 x 4, '
          'voxel index to mm, RAS+'
        )
      grid = np.asarray(affine, float)
      if grid.shape != (4, 4):
        raise errors.UserError(f'affine has shape {grid.shape}, not (4, 4)')
      voxels = volume_lib.take_volume('the array', image, settings.index)
      return self._translate(volume_lib.Volume(voxels, grid), settings).voxels
    library = type(image).__module__.partition('.')[0]
    if library not in _LIBRARIES:
      raise errors.UserError(
        f'a {type(image).__name__} is no scan: give a nibabel or SimpleITK '
        'image, an array with its affine, or a path'
      )
    module = dispatch.load(_LIBRARIES[library])
    source = module.from_image('the image', image, settings.index)
    fake = self._translate(source, settings)
    return module.to_image(fake.voxels, source, self.translator.provenance())

  def stream(
    self,
    sources: str | os.PathLike | Iterable[str | os.PathLike],
    target: str | os.PathLike,
    *,
    planes: Iterable[str] = (),
    volume: int = -1,
    overwrite: bool = False,
  ) -> Iterator[pathlib.Path]:
    """Translates many scans, one at a time; yields each when it is written.

    Args:
      sources: a folder or a pattern, or paths of scans.
      target: a folder, which mirrors the tree they lie in.
      planes: as in a call.
      volume: likewise.
      overwrite: whether what exists is replaced; else it is not made again.

    Raises:
      errors.UserError: for the first that cannot be translated.
    """
    settings = one_scan.choose_slices(
      self.translator.settings[0], list(planes), volume
    )
    if isinstance(sources, (str, os.PathLike)):
      source = os.fspath(sources)
      jobs = plan.plan_jobs(scans.find_scans(source), source, os.fspath(target))
    else:
      jobs = _plan_paths(
        [os.fspath(each) for each in sources], os.fspath(target)
      )
    for job in jobs:
      self._run(job, settings, overwrite)
      yield job.target

  def network(self, images: Any) -> np.ndarray:
    """The network alone: images [B, H, W, C] in [-1, 1] to as many.

    Args:
      images: float; H and W divide by `translator.multiple`, C is 1; 3 where it
        was trained in colour; 2 where it goes by the level of slices
        (`mri.channels`), and gives 1. Every new shape is compiled once.

    Raises:
      errors.UserError: for another shape.
    """
    images = np.asarray(images, np.float32)
    multiple, channels = self.translator.multiple, self.translator.channels
    shape = images.shape
    if (
      len(shape) != 4
      or not shape[0]
      or shape[-1] != channels
      or any(not side or side % multiple for side in shape[1:3])
    ):
      raise errors.UserError(
        f'images of shape {shape}: the network takes [B, H, W, {channels}], H '
        f'and W multiples of {multiple}'
      )
    return np.asarray(self.translator.generate(images))

  def _translate(self, source, settings):
    source = dispatch.check_volume('the image', source)
    fake, _ = translation.translate_scaled(
      self.translator,
      source,
      canvas.scale(source, settings, picture=False),
      settings=settings,
      batch_size=self.batch_size,
    )
    return fake

  def _write(self, source, target, settings, overwrite):
    found = scans.find_scans(source)
    if len(found) > 1:
      raise errors.UserError(
        f'{source} holds {len(found)} scans: stream() them'
      )
    (job,) = plan.plan_jobs(found, source, target)
    if not self._run(job, settings, overwrite):
      raise errors.UserError(f'{job.target} exists; overwrite=True replaces it')
    return job.target

  def _run(self, job, settings, overwrite):
    return one_scan.translate_scan(
      job,
      model=self.translator,
      settings=settings,
      batch_size=self.batch_size,
      overwrite=overwrite,
    )


def load(
  workdir: Any, direction: str, *, checkpoint: str, batch_size: int
) -> Model:
  """See `cyclegan_jax.load`."""
  if direction not in ('ab', 'ba'):
    raise errors.UserError(f"direction={direction!r}: it is 'ab' or 'ba'")
  checkpoint = str(checkpoint)
  checks.check_inference(os.fspath(workdir), {'checkpoint': checkpoint})
  path = kept.find(workdir, checkpoint)
  translator = restore.load_translators(path, [direction])[direction]
  return Model(translator, batch_size)


def _plan_paths(paths, target):
  """Jobs of scans from anywhere, under their names below all they share."""
  if not paths:
    return []
  places = [pathlib.Path(path).absolute() for path in paths]
  root = pathlib.Path(os.path.commonpath([place.parent for place in places]))
  found = []
  for path, place in zip(paths, places, strict=True):
    for scan in scans.find_scans(path):
      inner = (place if place.is_dir() else place.parent).relative_to(root)
      name = (inner / scan.name).as_posix()
      found.append(dataclasses.replace(scan, name=name))
  return plan.plan_jobs(found, paths[0], target)
