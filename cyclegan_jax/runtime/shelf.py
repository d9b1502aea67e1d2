"""What one start has worked out, as bytes that the next one finds.

A thing is found again only where all that it was made of is the same: the
package to the last letter, the libraries, the machine, the devices, JAX's
settings, and what its maker names. Whatever else lies there, cut, damaged or of
somebody else, is passed over: that start is slower, and nothing more.
"""

from collections.abc import Callable
import contextlib
import hashlib
from importlib import metadata
import os
import pathlib
import sys
from typing import Any
from typing import NamedTuple

import jax

from cyclegan_jax import files
from cyclegan_jax import version
from cyclegan_jax.runtime import digests
from cyclegan_jax.runtime import host

_LIBRARIES = (
  *('jax', 'jaxlib', 'ml_dtypes', 'flax', 'optax', 'chex'),
  *('numpy', 'scipy', 'scikit-image'),
)
_VARIABLES = ('XLA_FLAGS', 'LIBTPU_INIT_ARGS')
_MARK = hashlib.sha256().digest_size  # that a file begins with
# A file's time is told by a coarser clock than ours.
_MARGIN = 1.0  # seconds


class Shelf(NamedTuple):
  """A folder of such things.

  Attributes:
    folder: made when the first is put there.
    made_by: a digest of all that takes part in everything.
  """

  folder: pathlib.Path
  made_by: str


def open_shelf(folder: pathlib.Path) -> Shelf | None:
  """The shelf in a folder, for a process that has changed nothing of itself.

  None where the sources are not those that were imported, since they have
  changed since then, or cannot be seen: then nothing is known of what is made.
  """
  sources = read_sources(pathlib.Path(version.__file__).parent, version.STARTED)
  if not sources:
    return None
  settings = {
    name: str(value)
    for name, value in jax.config.values.items()
    if name != 'jax_compilation_cache_dir'
  }
  made_by = [
    sources,
    [sys.version, *((name, metadata.version(name)) for name in _LIBRARIES)],
    [os.environ.get(name) for name in _VARIABLES],
    settings,
    [jax.devices()[0].client.platform_version, jax.process_count()],
    [[device.platform, device.device_kind] for device in jax.devices()],
    [host.processor(), os.cpu_count()],
  ]
  return Shelf(folder, digests.of_json(made_by))


def read_sources(package: pathlib.Path, started: float) -> str:
  """A digest of a package's modules; none if one is newer than its import.

  Args:
    package: its folder.
    started: when the first of it was imported, in seconds since 1970.
  """
  content = hashlib.sha256()
  paths = sorted(package.rglob('*.py'))
  for path in paths:
    if path.stat().st_ctime > started - _MARGIN:
      return ''
    content.update(f'{path.relative_to(package)} '.encode())
    content.update(hashlib.sha256(path.read_bytes()).digest())
  return content.hexdigest() if paths else ''


def recall(
  shelf: Shelf | None, name: str, made_of: Any, make: Callable[[], bytes]
) -> bytes:
  """What `make` returns, or has returned at an earlier start.

  Args:
    shelf: where it is kept; None: nowhere.
    name: what it is, in a word.
    made_of: all that it depends on besides what the shelf knows, in terms of
      JSON.
    make: makes it.
  """
  if shelf is None:
    return make()
  key = digests.of_json([shelf.made_by, name, made_of])
  path = shelf.folder / f'{name}-{key}'
  with contextlib.suppress(OSError):
    stored = path.read_bytes()
    content = stored[_MARK:]
    if stored[:_MARK] == _mark(key, content):
      return content
  content = make()
  with contextlib.suppress(OSError):  # a full disk, or one only to be read
    files.sweep(shelf.folder)
    with files.replace_file(path) as partial:
      partial.write_bytes(_mark(key, content) + content)
  return content


def _mark(key, content):
  return hashlib.sha256(key.encode() + content).digest()
