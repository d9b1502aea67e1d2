"""The formats a generator is exported to: one table. Imports nothing heavy."""

import importlib
import importlib.util
import pathlib
import types
from typing import NamedTuple

from cyclegan_jax import errors


class Format(NamedTuple):
  """A file format of other programs.

  Attributes:
    module: of this room, imported when it is needed. It has `describe(network)`
      for metadata, which refuses a network that the format has no room for;
      `write(path, network, params, metadata)`; and `load(path, network)`: the
      file as a function of images [B, H, W, C] in [-1, 1], on the host.
    suffixes: of its files.
    layout: of the images that its programs take.
    tolerance: the most by which they may differ from our network.
    packages: that it needs and the rest of the program does not.
  """

  module: str
  suffixes: tuple[str, ...]
  layout: str
  tolerance: float
  packages: tuple[str, ...] = ()


FORMATS = {
  'stablehlo': Format(
    module='stablehlo',
    suffixes=('.stablehlo',),
    layout='[B, H, W, C]',
    tolerance=1e-5,
  ),
  'onnx': Format(
    module='onnx_file',
    suffixes=('.onnx',),
    layout='[B, C, H, W]',
    tolerance=1e-4,
    packages=('onnx', 'onnxruntime'),
  ),
  'torch': Format(
    module='torch_file',
    suffixes=('.pth', '.pt'),
    layout='[B, C, H, W]',
    tolerance=1e-5,
    packages=('torch',),
  ),
  'safetensors': Format(
    module='safetensors_file',
    suffixes=('.safetensors',),
    layout='[B, C, H, W]',
    tolerance=1e-5,
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


def open_module(name: str) -> types.ModuleType:
  """The module that writes and loads a format of `FORMATS`."""
  return importlib.import_module(f'cyclegan_jax.interop.{FORMATS[name].module}')
