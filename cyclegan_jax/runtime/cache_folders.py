"""Where things are kept that can be made again: a matter of the machine."""

import os
import pathlib

import jax
from jax.experimental.compilation_cache import compilation_cache
import platformdirs

from cyclegan_jax import errors
from cyclegan_jax import files

OFF = 'off'  # in place of a folder: keep nothing


def keep_compiled(chosen: str):
  """Keeps compiled programs for the next start.

  JAX's own environment variable, JAX_COMPILATION_CACHE_DIR, wins over a folder;
  'off' keeps none anywhere.

  Args:
    chosen: a folder; empty: in the user's cache folder; or 'off'.

  Raises:
    UserError: if it cannot be made.
  """
  if chosen == OFF:
    jax.config.update('jax_enable_compilation_cache', False)
    return
  if os.environ.get('JAX_COMPILATION_CACHE_DIR'):
    return
  if chosen or not jax.config.values['jax_compilation_cache_dir']:
    folder = make('compile_cache', chosen, 'compiled')
    jax.config.update('jax_compilation_cache_dir', str(folder))
    # It goes by the folder that was known when the first program was compiled.
    compilation_cache.reset_cache()
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)


def beside_compiled(name: str) -> pathlib.Path | None:
  """A folder among the compiled programs; None where none are kept on disk."""
  folder = jax.config.values['jax_compilation_cache_dir']
  enabled = jax.config.values['jax_enable_compilation_cache']
  if not folder or not enabled or '://' in folder:
    return None
  return pathlib.Path(folder, name)


def make(field: str, chosen: str, *names: str) -> pathlib.Path:
  """The folder that a field of a config names, made if need be.

  Args:
    field: to be named in a message.
    chosen: its value; empty: in the user's cache folder.
    names: where in there.

  Raises:
    UserError: if it cannot be made.
  """
  path = pathlib.Path(chosen).expanduser()
  if not chosen:
    cache = platformdirs.user_cache_path('cyclegan_jax', appauthor=False)
    path = cache.joinpath(*names)
  try:
    path.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise errors.UserError(
      f'{field}: {path} cannot be made a folder: {error.strerror}'
    ) from None
  return path


def is_usable(chosen: str) -> bool:
  """Whether a value is one here: a folder that can be written to, or none."""
  if chosen in ('', OFF):
    return True
  try:
    files.probe_folder(pathlib.Path(chosen).expanduser())
  except OSError:
    return False
  return True
