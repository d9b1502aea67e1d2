"""The formats a generator is exported to: one table. Imports nothing heavy."""

import importlib
import importlib.util
import pathlib
from typing import Any
from typing import NamedTuple

from cyclegan_jax import errors


class Format(NamedTuple):
  """A file format of other programs.

  Attributes:
    write: 'module:function' of (path, network, params, metadata); imported when
      it is known.
    load: likewise, of (path, network): the file as a function of images
      [B, H, W, C] in [-1, 1], on the host.
    suffixes: of its files.
    layout: of the images that its programs take.
    tolerance: the most by which they may differ from our network.
    packages: that it needs and the rest of the program does not.
  """

  write: str
  load: str
  suffixes: tuple[str, ...]
  layout: str
  tolerance: float
  packages: tuple[str, ...] = ()


_ROOM = 'cyclegan_jax.interop'
FORMATS = {
  'stablehlo': Format(
    write=f'{_ROOM}.stablehlo:write',
    load=f'{_ROOM}.stablehlo:load',
    suffixes=('.stablehlo',),
    layout='[B, H, W, C]',
    tolerance=1e-5,
  ),
  'onnx': Format(
    write=f'{_ROOM}.onnx_file:write',
    load=f'{_ROOM}.onnx_file:load',
    suffixes=('.onnx',),
    layout='[B, C, H, W]',
    tolerance=1e-4,
    packages=('onnx', 'onnxruntime'),
  ),
}


def check(name: str, target: str):
  """Checks that a format can be written here, and to a file of that name.

  Args:
    name: of `FORMATS`.
    target: as the flag has it.

  Raises:
    UserError: if it cannot.
  """
  known = FORMATS[name]
  suffix = pathlib.Path(target).suffix
  if suffix.lower() not in known.suffixes:
    named = ' or '.join(known.suffixes)
    raise errors.UserError(
      f'--target={target}: a file of --format={name} ends in {named}'
    )
  missing = [
    each for each in known.packages if importlib.util.find_spec(each) is None
  ]
  if missing:
    raise errors.UserError(
      f'--format={name} needs what is not installed here: '
      f'pip install {" ".join(missing)}'
    )


def find(entry: str) -> Any:
  """The function that 'module:function' names."""
  module, function = entry.split(':')
  return getattr(importlib.import_module(module), function)
