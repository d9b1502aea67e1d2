"""Which files are scans, and what reads and writes them."""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import importlib
import os
import pathlib
import re
import tempfile
import types

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax.mri import channels as channels_lib
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import limits

# The one dispatch table. A module has `read(path, *, index)` and
# `write(path, voxels, like, provenance)`; it is imported when it is needed,
# for each of these libraries takes a while.
MODULES = {
  '.nii.gz': 'nifti',
  '.nii': 'nifti',
  '.nrrd': 'itk',
  '.nhdr': 'itk',
  '.mha': 'itk',
  '.mhd': 'itk',
  '.npy': 'npy',
  '.png': 'picture',
  '.jpg': 'picture',
  '.jpeg': 'picture',
  '.tif': 'picture',
  '.tiff': 'picture',
}
WRITABLE = tuple(each for each in MODULES if each not in ('.nhdr', '.mhd'))
KNOWN = 'NIfTI, DICOM, NRRD, MetaImage, .npy, PNG, JPEG or TIFF'
_DICOM_SUFFIXES = ('.dcm', '.dicom')


@dataclasses.dataclass(frozen=True)
class Scan:
  """One scan on disk: a file, or the files of a DICOM series.

  Attributes:
    name: its path below the folder it was found in, without suffix.
    patient: whose it is, as far as the name tells.
    paths: the file; those of a DICOM series; a header and its data.
    module: of this package that reads it.
    home: the folder that is this patient's own, if there is one.
  """

  name: str
  patient: str
  paths: Sequence[pathlib.Path]
  module: str
  home: pathlib.Path | None = None

  @property
  def place(self) -> str:
    """What to call it when talking to a person."""
    if len(self.paths) > 1 and self.module == 'dicom':
      return f'{self.paths[0].parent} ({len(self.paths)} DICOM files)'
    return str(self.paths[0])

  @property
  def is_picture(self) -> bool:
    return self.module == 'picture'


def read_scan(
  scan: Scan, *, index: int | None = None, channels: int = 1
) -> volume_lib.Volume:
  """Reads a scan; voxels that are no number become its lowest value.

  Args:
    scan: from `find_scans`.
    index: which volume of a 4-D file.
    channels: 3 keeps the colour of pictures: then voxels are [I, J, K, 3].

  Raises:
    UserError: naming the file and what is wrong with it.
  """
  for path in scan.paths:
    limits.check_file(path)
  module = load(scan.module)
  if scan.module == 'dicom':
    volume = module.read_series(scan.paths)
  elif scan.is_picture:
    volume = module.read(scan.paths[0], channels=channels)
  else:
    volume = module.read(scan.paths[0], index=index)
  return check_volume(scan.place, volume)


def check_volume(place: object, volume: volume_lib.Volume) -> volume_lib.Volume:
  """A volume fit to be worked with: what is no number becomes its lowest value.

  Args:
    place: what to call it.
    volume: as read.

  Raises:
    UserError: if it does not say where it lies, or holds no numbers.
  """
  axes = volume.affine[:3, :3]
  if not np.isfinite(volume.affine).all() or not np.linalg.det(axes):
    raise errors.UserError(
      f'{place} does not say where its voxels lie: its affine is '
      f'{volume.affine[:3].tolist()}'
    )
  voxels = volume.voxels
  if voxels.dtype.kind == 'f':
    finite = np.isfinite(voxels)
    bad = int(voxels.size - np.count_nonzero(finite))
    if bad == voxels.size:
      raise errors.UserError(f'{place}: no voxel is a number')
    if bad:
      least = voxels[finite].min()
      volume = dataclasses.replace(
        volume,
        voxels=np.where(finite, voxels, least),
        notes=(
          *volume.notes,
          f'{bad} of {voxels.size} voxels are NaN or infinite: taken as '
          f'background, {least:g}',
        ),
      )
  return volume


def write_scan(
  path: pathlib.Path,
  voxels: np.ndarray,
  like: volume_lib.Volume,
  provenance: volume_lib.Provenance,
  *,
  finish: Callable[[pathlib.Path], None] = lambda partial: None,
):
  """Writes a synthetic scan, whole or not at all.

  Args:
    path: its suffix names the format; without a known one it is the folder of a
      DICOM series.
    voxels: [I, J, K] on the grid of `like`; of colour [I, J, K, 3], which
      formats of scans get as luminance.
    like: the scan it was made from.
    provenance: what it says of itself.
    finish: called with the temporary path of the whole scan when nothing is at
      `path` any more, right before it gets there.

  Raises:
    UserError: if the format cannot hold it, or `path` is of another kind.
    OSError: naming `path`, if the disk does not take it.
  """
  suffix = suffix_of(path)
  single = suffix in WRITABLE
  _check_place(path, single)
  module = load(MODULES[suffix]) if single else load('dicom_writer')
  write = module.write if single else module.write_series
  if not (single and MODULES[suffix] == 'picture'):
    voxels = channels_lib.to_gray(voxels)
  with files.partial_folder(path.parent) as folder:
    partial = folder / path.name
    try:
      with files.naming(path):
        write(partial, voxels, like, provenance)
    except errors.UserError as error:  # which names where it was tried
      told = str(error).replace(str(partial), str(path))
      raise errors.UserError(told) from None
    while not _put(partial, path, folder, finish):
      pass  # another process has put a series there in between


def is_file_target(path: pathlib.Path) -> bool:
  """Whether a target is a file, by its suffix; else it is a folder.

  Raises:
    UserError: if it looks like a file of a format that cannot be written.
  """
  suffix = suffix_of(path)
  if path.is_dir() or not re.fullmatch(r'\.[a-z][a-z.]*', suffix):
    return False  # 'out_v1.2' and '1.2.840.1' are folders
  if suffix not in WRITABLE and suffix not in _DICOM_SUFFIXES:
    raise errors.UserError(
      f'{path}: cannot write {suffix}; known are {", ".join(WRITABLE)} and, '
      'without a suffix, a folder for DICOM'
    )
  return True


def suffix_of(path: str | os.PathLike) -> str:
  """The suffix in lower case; '.nii.gz' is one."""
  name = os.path.basename(path).lower()
  return '.nii.gz' if name.endswith('.nii.gz') else os.path.splitext(name)[1]


def stem_of(name: str) -> str:
  """A name without its suffix, if that is one of a scan."""
  suffix = suffix_of(name)
  return name[: len(name) - len(suffix)] if suffix in MODULES else name


def _put(partial, path, folder, finish):
  """Gives a scan its name; False if that has just been given to another."""
  aside = pathlib.Path(tempfile.mkdtemp(dir=folder), path.name)
  with contextlib.suppress(FileNotFoundError):
    path.rename(aside)
  try:
    finish(partial)
  except BaseException:
    if aside.exists():
      aside.rename(path)
    raise
  try:
    partial.replace(path)
  except OSError:
    if not (partial.is_dir() and path.is_dir()):
      raise
    return False
  return True


def _check_place(path, single):
  """Nothing but another scan is replaced by a scan."""
  if single and path.is_dir():
    raise errors.UserError(f'{path} is a folder; name another target')
  if single or not path.exists():
    return
  if not path.is_dir():
    raise errors.UserError(f'{path} is a file; name another folder')
  others = [each for each in path.iterdir() if each.suffix != '.dcm']
  if others:
    raise errors.UserError(
      f'{path} holds other things than a DICOM series, such as '
      f'{others[0].name}; name another folder'
    )


@contextlib.contextmanager
def naming(scan: Scan):
  """A mistake found inside is told with the scan it was found in."""
  try:
    yield
  except errors.UserError as error:
    place = scan.paths[0].parent if scan.module == 'dicom' else scan.paths[0]
    if str(place) in str(error):
      raise
    raise errors.UserError(f'{scan.place}: {error}') from None


@functools.cache
def load(module: str) -> types.ModuleType:
  """The module of this package with this name."""
  return importlib.import_module(f'cyclegan_jax.mri.formats.{module}')
