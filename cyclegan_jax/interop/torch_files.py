"""A generator written for PyTorch: the reference's program loads it.

Names and shapes are those of junyanz/pytorch-CycleGAN-and-pix2pix: its networks
take the file with `load_state_dict(strict=True)`.
"""

from collections.abc import Callable
from collections.abc import Mapping
import importlib
import pathlib
from typing import Any

from flax import linen as nn
from flax import traverse_util
import jax
import numpy as np
from safetensors import numpy as safetensors

from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax.interop import layout
from cyclegan_jax.interop import recognise
from cyclegan_jax.interop import weights
from cyclegan_jax.networks import generators

_OTHERWISE = '--format=onnx and --format=stablehlo take any network'
_LEAST_LEVELS = 5


def write_torch(
  path: pathlib.Path,
  network: nn.Module,
  params: Any,
  metadata: Mapping[str, str],
):
  """Writes a state dict of PyTorch, and beside it what is said of it, as JSON.

  Args:
    path: of the file, `NAME.pth`; the other is `NAME.json`, see `sidecar`.
    network: the generator.
    params: a tree of arrays.
    metadata: what is to be said; the options of the reference are added.

  Raises:
    UserError: without torch, or if PyTorch's program has no such network.
  """
  tensors, told = _prepare(network, params, metadata)
  try:
    torch: Any = importlib.import_module('torch')
  except ImportError:
    raise errors.UserError(
      'PyTorch, which writes .pth files, is not installed: pip install '
      '"cyclegan_jax[torch]", or pip install "torch"; --format=safetensors '
      'needs none'
    ) from None
  state = {name: torch.from_numpy(x.copy()) for name, x in tensors.items()}
  torch.save(state, path)
  files.write_json(sidecar(path), told)
  _check(path, network, params)


def write_safetensors(
  path: pathlib.Path,
  network: nn.Module,
  params: Any,
  metadata: Mapping[str, str],
):
  """Writes the same tensors under the same names, with what is said of them.

  Args:
    path: of the file, `NAME.safetensors`.
    network: the generator.
    params: a tree of arrays.
    metadata: what is to be said; the options of the reference are added.

  Raises:
    UserError: if PyTorch's program has no such network.
  """
  tensors, told = _prepare(network, params, metadata)
  path.write_bytes(safetensors.save(tensors, told))
  _check(path, network, params)


def sidecar(path: pathlib.Path) -> pathlib.Path:
  """Where it is told what a .pth file holds, which has no room for it."""
  return path.with_suffix('.json')


def describe(network: nn.Module) -> layout.Description:
  """The network of the reference that a generator of ours is.

  Raises:
    UserError: if it has no counterpart, naming why.
  """
  if isinstance(network, generators.ResNet):
    why = 'starts from a contrast map' * (network.start is not None)
    kind, depth = 'resnet', network.blocks
  elif isinstance(network, generators.UNet):
    why = _explain_unet(network)
    kind, depth = 'unet', network.levels
  else:
    raise TypeError(f'{type(network).__name__} is no generator')
  if network.norm == 'folded':
    why = 'has its batch normalisations folded into its layers'
  if why:
    raise errors.UserError(
      f"the generator {why}, which PyTorch's program cannot: {_OTHERWISE}"
    )
  return layout.Description(
    kind=kind,
    channels=network.channels,
    features=network.features,
    depth=depth,
    dropout=network.dropout > 0 and kind == 'resnet',
  )


def describe_options(network: nn.Module) -> str:
  """The options with which the reference's program makes such a network."""
  found = describe(network)
  names = {
    ('resnet', 6): 'resnet_6blocks',
    ('resnet', 9): 'resnet_9blocks',
    ('unet', 7): 'unet_128',
    ('unet', 8): 'unet_256',
  }
  name = names.get((found.kind, found.depth))
  if name is None:  # no option of its command line, but of its classes
    name = {
      'resnet': f'ResnetGenerator(n_blocks={found.depth})',
      'unet': f'UnetGenerator(num_downs={found.depth})',
    }[found.kind]
  dropout: Any = getattr(network, 'dropout', 0.0)
  return (
    f'--netG {name} --ngf {found.features} --norm instance '
    f'--input_nc {found.channels} --output_nc {found.channels}'
    + ('' if dropout else ' --no_dropout')
  )


def _explain_unet(network):
  """Why the reference has no such U-Net; empty if it has."""
  reasons = {
    f'has levels={network.levels}': network.levels < _LEAST_LEVELS,
    f'has leak={network.leak}': network.leak != 0.2,
    f'has skip_leak={network.skip_leak}': network.skip_leak != 0,
    'has affine normalisations': network.affine,
    'normalises its innermost level': network.norm_innermost,
  }
  return ' and '.join(reason for reason, holds in reasons.items() if holds)


def _prepare(network, params, metadata):
  description = describe(network)
  tensors = layout.from_params(description, params)
  return tensors, {**metadata, 'options': describe_options(network)}


def _check(path: pathlib.Path, network: Any, params: Any):
  """Reads a file back: the same parameters, which make the same images."""
  ((_, tensors),) = weights.read(path).items()
  found, tensors = recognise.recognise(tensors, path)
  again = layout.to_params(found, tensors)
  flat: Any = traverse_util.flatten_dict(params)
  flat_again: Any = traverse_util.flatten_dict(again)
  same = flat.keys() == flat_again.keys() and all(
    np.array_equal(flat[name], flat_again[name]) for name in flat
  )
  apply: Callable = jax.jit(network.apply)
  side = max(2**network.halvings, 16)
  images = np.random.default_rng(0).uniform(
    -1, 1, (1, side, side, network.channels)
  )
  made, made_again = (
    np.asarray(apply({'params': each}, images.astype(np.float32)))
    for each in (params, again)
  )
  if not same or not np.array_equal(made, made_again):
    raise RuntimeError(f'{path} is not what was to be written')
