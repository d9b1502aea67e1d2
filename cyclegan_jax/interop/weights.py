"""The weights in a file of PyTorch's, or of safetensors; no program is run.

A `.pth` file is a pickle, which may hold any program. It is read by torch's
reader of weights alone, which makes tensors and plain containers and refuses
the rest; safetensors hold nothing but arrays, and need no torch.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import importlib
import pathlib
import re
from typing import Any
import warnings

import numpy as np
import safetensors

from cyclegan_jax import errors
from cyclegan_jax.interop import names
from cyclegan_jax.mri.formats import limits

SAFETENSORS = '.safetensors'
SUFFIXES = ('.pth', '.pt', SAFETENSORS)

_WRAPPERS = ('module.', '_orig_mod.')  # of DataParallel, of torch.compile
_SAFE_TORCH = (2, 6)  # before, its reader of weights could be tricked
_DEPTH = 4  # of dicts in dicts
_TYPES = {
  'F64': np.float64,
  'F32': np.float32,
  'F16': np.float16,
  'I64': np.int64,
  'I32': np.int32,
}


def read(path: pathlib.Path) -> dict[str, dict[str, np.ndarray]]:
  """The networks in a file: arrays by their names in PyTorch, by network.

  Dicts in dicts are searched, and what wrappers put before names is taken off.
  Floating point numbers of any width become float32; integers, which count
  batches, stay.

  Args:
    path: of the file; how it ends tells what it is.

  Returns:
    By what the file calls each network, '' where it says nothing.

  Raises:
    UserError: if it cannot be read, holds more than weights, or none.
  """
  limits.check_file(path)
  try:
    with path.open('rb') as file:
      head = file.read(9)
  except OSError as error:
    raise errors.UserError(
      f'{path} cannot be read: {error.strerror}; name another file'
    ) from None
  read_file = _read_safetensors if _is_safetensors(path, head) else _read_torch
  try:
    tree = read_file(path)
    found = list(_find(tree, ''))
    if any(name for name, _ in found):  # then others are of no concern
      found = [(name, arrays) for name, arrays in found if name]
  except (errors.UserError, MemoryError):
    raise
  except Exception as error:  # of torch, zipfile, pickle: of any type
    raise errors.UserError(
      f'{path} holds no weights that can be read, or is damaged; save '
      'state_dict() again, or copy the file again'
    ) from error
  if not found:
    raise errors.UserError(
      f'{path} holds no weights of a network; save what state_dict() gives'
    )
  if len(dict(found)) < len(found):
    raise errors.UserError(
      f'{path} holds several networks and does not name them apart; save the '
      'generators alone, as G_A and G_B'
    )
  return dict(found)


def import_torch(place: object) -> Any:
  """PyTorch, of a version whose reader of weights runs nothing.

  Args:
    place: what needs it, for a message.

  Raises:
    UserError: if it is not there, or is older.
  """
  try:
    torch: Any = importlib.import_module('torch')
  except ImportError:
    raise errors.UserError(
      f'{place} is a file of PyTorch, which is not installed: pip install '
      '"cyclegan_jax[torch]", or pip install "torch"; .safetensors need none'
    ) from None
  version = tuple(map(int, re.findall(r'\d+', torch.__version__)[:2]))
  if version < _SAFE_TORCH:
    raise errors.UserError(
      f'{place} is not read with torch {torch.__version__}, which a file can '
      'trick into running a program: pip install "torch>=2.6"'
    )
  return torch


def _is_safetensors(path, head):
  """By what a file begins with; by its name where that is neither."""
  if head.startswith((b'PK', b'\x80')):  # a zip, a pickle
    return False
  return head[8:] == b'{' or path.suffix.lower() == SAFETENSORS


def _read_torch(path):
  torch = import_torch(path)
  try:
    with warnings.catch_warnings(), path.open('rb') as file:
      warnings.simplefilter('ignore')
      tree = torch.load(file, weights_only=True, map_location='cpu')
  except Exception as error:  # pickle's, and torch's own
    found = re.search(r'GLOBAL ([\w.]+)', str(error))
    if not found:
      raise
    raise errors.UserError(
      f'{path} holds more than weights: {found[1]}, which would be run, and is '
      'not; save what state_dict() gives, alone'
    ) from None
  return _to_arrays(tree, torch)


def _to_arrays(tree, torch, depth=0):
  """The same dicts, of arrays; what is neither is left out."""
  if isinstance(tree, torch.Tensor):
    plain = tree.layout == torch.strided and not tree.is_quantized
    if not plain or tree.is_complex() or tree.device.type != 'cpu':
      raise ValueError('a tensor of another kind')
    # No more numbers than the file has: a stride of 0 makes any number of one.
    if tree.nbytes > tree.untyped_storage().nbytes():
      raise ValueError('a tensor of more numbers than there are')
    tree = tree.detach()
    return (tree.float() if tree.is_floating_point() else tree).numpy()
  if isinstance(tree, Mapping) and depth < _DEPTH:
    made = {
      name: _to_arrays(each, torch, depth + 1)
      for name, each in tree.items()
      if isinstance(name, str)
    }
    return {name: each for name, each in made.items() if each is not None}
  return None


def _read_safetensors(path):
  arrays = {}
  for name, told in safetensors.deserialize(path.read_bytes()):
    kind, data = told['dtype'], told['data']
    if kind == 'BF16':  # the upper half of a float32
      wide = np.frombuffer(data, '<u2').astype(np.uint32) << 16
      array = wide.view(np.float32)
    elif kind in _TYPES:
      array = np.frombuffer(data, np.dtype(_TYPES[kind]).newbyteorder('<'))
    else:
      raise ValueError(f'{name} is {kind}')
    if array.dtype.kind == 'f':
      array = array.astype(np.float32)
    arrays[name] = array.reshape(told['shape'])
  return arrays


def _find(tree: Any, name: str) -> Iterator[tuple[str, dict]]:
  """(name, arrays) of the networks in nested dicts, by their innermost name."""
  if not isinstance(tree, Mapping):
    return
  arrays = {
    _unwrap(key): each
    for key, each in tree.items()
    if isinstance(each, np.ndarray)
  }
  groups: dict[str, dict] = {}
  for key, each in arrays.items():
    first, _, rest = key.partition('.')
    if rest and names.is_network(first):
      groups.setdefault(first, {})[_unwrap(rest)] = each
    else:
      groups.setdefault(name, {})[key] = each
  for own, found in groups.items():
    if any(key.split('.')[-1] == 'weight' for key in found):
      yield own, found
  for key, each in tree.items():
    if isinstance(each, Mapping):
      yield from _find(each, key if names.is_network(key) else name)


def _unwrap(key):
  """Without what wrappers put before it, as often as they did."""
  while key.startswith(_WRAPPERS):
    key = key.removeprefix('module.').removeprefix('_orig_mod.')
  return key
