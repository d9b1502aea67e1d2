"""Paths that people name: whether they can be any, and can be written to."""

import errno
import os
import pathlib

from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax.mri.formats import limits


def check_places(places: dict[str, str]):
  """Raises `UserError` for a place that is no path of a file system.

  Args:
    places: by the flag or field that names them.
  """
  for name, place in places.items():
    if not place:
      continue
    if '://' in place:
      raise errors.UserError(
        f'{name}={place} is an address, and a path is needed: mount what it '
        'names (gcsfuse, NFS) and name the folder'
      )
    try:
      os.stat(place)
    except (OSError, ValueError) as error:
      number = getattr(error, 'errno', None)
      if number in (errno.ENAMETOOLONG, None):  # or it has a zero in it
        raise errors.UserError(
          f'{name} names what can be no path, of {len(place)} characters, '
          f'{place[:40]!r}'
        ) from None
    limits.check_file(pathlib.Path(place))


def check_target(target: str):
  """Raises `UserError` if nothing can be written where a translation goes."""
  place = pathlib.Path(target)
  try:
    files.probe_folder(place.parent if place.is_file() else place)
  except OSError as error:
    raise errors.UserError(
      f'--target={target} cannot be written to: {error.strerror}; name another '
      'place'
    ) from None
