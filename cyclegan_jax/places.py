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
  _probe(target, place.parent if place.is_file() else place)


def check_page(target: str | None):
  """Raises `UserError` if a page cannot be written there.

  Args:
    target: of the page; None: where pages go by themselves.
  """
  if target is None:
    return
  check_places({'--target': target})
  place = pathlib.Path(target)
  # A page replaces what is there: only one like it, no scan and no config.
  if place.is_dir() or place.suffix.lower() not in ('.html', '.htm'):
    raise errors.UserError(
      f'--target={target} is no page; name a file that ends in .html'
    )
  _probe(target, place.parent)


def check_file(target: str):
  """Raises `UserError` if no file can be written there."""
  _probe(target, pathlib.Path(target).parent)


def _probe(target, folder):
  try:
    files.probe_folder(folder)
  except OSError as error:
    raise errors.UserError(
      f'--target={target} cannot be written to: {error.strerror}; name another '
      'place'
    ) from None


def check_home(workdir: str):
  """Raises `UserError` if scores of a run cannot be written where it is."""
  place = pathlib.Path(workdir)
  try:
    files.probe_folder(place if place.is_dir() else place.absolute().parent)
  except OSError as error:
    raise errors.UserError(
      f'--workdir={workdir}: scores cannot be written there: {error.strerror}; '
      'copy it to another place'
    ) from None
