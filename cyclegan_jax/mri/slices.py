"""A folder of slices: what is in it, and one slice at the network's size."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import hashlib
import math
import os
import pathlib
import re

import numpy as np
from PIL import Image

from cyclegan_jax import errors
from cyclegan_jax.mri import png

# A foreground pixel is above this share of white: over the noise of air.
_FOREGROUND = 0.1
# More broken files than this share, and the folder is not to be trusted.
MAX_CORRUPT = 0.01
_SYSTEM_FILES = ('thumbs.db', 'desktop.ini')


@dataclasses.dataclass(frozen=True)
class SliceFolder:
  """The usable slices of one domain.

  Attributes:
    root: the folder.
    names: file names relative to it, sorted.
    white: what is shown white in a 16-bit picture: the folder's largest value.
      In an 8-bit picture it is 255.
    blank: how many slices were left out for lack of foreground.
    corrupt: how many files were left out because they cannot be decoded.
  """

  root: pathlib.Path
  names: Sequence[str]
  white: int
  blank: int = 0
  corrupt: int = 0

  @property
  def patients(self) -> set[str]:
    return {patient_of(name) for name in self.names}

  def fingerprint(self) -> str:
    """Changes when the slices or their scale do, not when the folder moves."""
    listing = '\n'.join([*self.names, str(self.white)])
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


def list_images(root: str | os.PathLike) -> list[pathlib.Path]:
  """The image files under `root`, sorted by name, without opening them.

  Raises:
    UserError: if there is no such folder, nothing in it, or something that is
      not an image. Hidden files and those an operating system leaves behind are
      passed over.
  """
  root = pathlib.Path(root)
  if not root.is_dir():
    problem = 'is not a folder' if root.exists() else 'does not exist'
    raise errors.UserError(f'{root} {problem}; name a folder of slices')
  try:
    files = sorted(
      pathlib.Path(folder, name)
      for folder, _, names in os.walk(root, onerror=_raise, followlinks=True)
      for name in names
      if not name.startswith('.') and name.lower() not in _SYSTEM_FILES
    )
  except OSError as error:
    raise errors.UserError(
      f'{error.filename} cannot be read: {error.strerror}'
    ) from None
  if not files:
    raise errors.UserError(
      f'{root} is empty; it should hold PNG, JPEG or TIFF slices'
    )
  for path in files:
    if path.suffix.lower() not in png.SUFFIXES:
      raise errors.UserError(
        f'{path} is not a PNG, JPEG or TIFF image; move it out of the folder'
      )
  return files


def scan(
  root: str | os.PathLike,
  *,
  min_foreground: float,
  report: Callable[[int, int], None] = lambda done, total: None,
  warn: Callable[[str], None] = lambda message: None,
) -> SliceFolder:
  """Reads every slice under `root` once and keeps the usable ones.

  Args:
    root: the folder, searched through all its subfolders.
    min_foreground: a slice with a smaller share of foreground pixels is blank.
      0 keeps all.
    report: called with the slices done and their number.
    warn: called with a line for each file that cannot be decoded.

  Raises:
    UserError: as `list_images`, and if no slice is usable or more than 1 % of
      the files cannot be decoded.
  """
  root = pathlib.Path(root)
  paths = list_images(root)
  tops, levels, corrupt = {}, {}, []
  for done, path in enumerate(paths):
    report(done, len(paths))
    try:
      pixels = png.read_image(path)
    except png.CorruptImageError as error:
      warn(f'skipped, cannot be decoded: {error}')
      corrupt.append(path)
      continue
    # White is known when all have been read; until then, the level that the
    # wanted share of pixels reaches is kept.
    tops[path] = int(pixels.max()) if pixels.dtype == np.uint16 else 0
    rank = max(math.ceil(min_foreground * pixels.size), 1)
    levels[path] = np.partition(pixels, -rank, axis=None)[-rank]
  report(len(paths), len(paths))
  check_corrupt(root, corrupt, len(paths))

  white = max(tops.values())
  names = [
    str(path.relative_to(root))
    for path, level in levels.items()
    if min_foreground == 0
    or level > _FOREGROUND * (255 if level.dtype == np.uint8 else white)
  ]
  if not names:
    raise errors.UserError(
      f'{root}: none of its {len(paths)} slices is usable, all are blank '
      f'(foreground below {min_foreground:.0%}, see data.min_foreground)'
    )
  return SliceFolder(
    root=root,
    names=tuple(names),
    white=white,
    blank=len(levels) - len(names),
    corrupt=len(corrupt),
  )


def check_corrupt(root: pathlib.Path, corrupt: Sequence, total: int):
  """Raises `UserError` if more than 1 % of `total` files are corrupt."""
  if len(corrupt) > MAX_CORRUPT * total:
    raise errors.UserError(
      f'{root}: {len(corrupt)} of {total} files cannot be decoded, '
      f'the first is {corrupt[0]}; replace or remove them'
    )


def load_slice(folder: SliceFolder, name: str, *, size: int) -> np.ndarray:
  """One slice in the network's scale.

  It is padded with black to a square about its centre, so that nothing is
  squashed, then resized with antialiased bicubic interpolation.

  Args:
    folder: the slice's.
    name: one of `folder.names`.
    size: of the result's sides, pixels.

  Returns:
    [size, size] float32 in [-1, 1]; black is -1, white is 1.

  Raises:
    CorruptImageError: if the file cannot be decoded.
  """
  pixels = png.read_image(folder.root / name)
  white = 255 if pixels.dtype == np.uint8 else folder.white
  height, width = pixels.shape
  side = max(height, width)
  top, left = (side - height) // 2, (side - width) // 2
  square = np.zeros((side, side), np.float32)
  square[top : top + height, left : left + width] = pixels
  if side != size:
    resized = Image.fromarray(square).resize((size, size), Image.BICUBIC)
    square = np.asarray(resized)
  return np.clip(square * (2.0 / white) - 1.0, -1.0, 1.0, dtype=np.float32)


def patient_of(name: str) -> str:
  """Whose slice a file is: its subfolder, else its name up to the slice number.

  'anna/t1_004.png' is of 'anna', 'patient07_z036.png' and
  'patient07_slice-036.png' are of 'patient07'.
  """
  path = pathlib.PurePath(name)
  if path.parent.parts:
    return str(path.parent)
  return re.sub(r'[-_ .]([A-Za-z]*[-_ .]?)\d+$', '', path.stem) or path.stem


def _raise(error):
  raise error
