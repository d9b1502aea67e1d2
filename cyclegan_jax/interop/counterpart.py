"""Which network of the PyTorch reference a generator of ours is, and its file.

The reference is junyanz/pytorch-CycleGAN-and-pix2pix. What `torch_file` and
`safetensors_file` have in common is here.
"""

from collections.abc import Callable
import pathlib
from typing import Any

from flax import linen as nn
import jax
import numpy as np

from cyclegan_jax import errors
from cyclegan_jax import precision
from cyclegan_jax.interop import layout
from cyclegan_jax.interop import recognise
from cyclegan_jax.interop import weights
from cyclegan_jax.networks import generators

_OTHERWISE = '--format=onnx and --format=stablehlo take any network'


def describe_file(network: nn.Module) -> dict[str, str]:
  """The options of the reference that the file fits, for its metadata.

  Raises:
    UserError: if the reference has no such network, naming why.
  """
  return {'options': describe_options(network)}


def to_tensors(network: nn.Module, params: Any) -> dict[str, np.ndarray]:
  """The reference's parameters of a generator; see `describe` for errors."""
  return layout.from_params(describe(network), params)


def load(
  path: pathlib.Path, network: nn.Module
) -> Callable[[np.ndarray], np.ndarray]:
  """What --mode=import reads in a file, as a function of images [B, H, W, C].

  Raises:
    UserError: if it is not read.
    ValueError: if it is read as another network.
  """
  ((_, tensors),) = weights.read(path).items()
  found, tensors = recognise.recognise(tensors, path)
  if found != describe(network):
    raise ValueError(f'{path} is read as {found}')
  params = layout.to_params(found, tensors)
  apply: Callable = jax.jit(network.apply)

  def translate(images):
    with precision.exactly():
      return np.asarray(apply({'params': params}, images))

  return translate


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
    f'has levels={network.levels}': network.levels < layout.LEAST_LEVELS,
    f'has leak={network.leak}': network.leak != 0.2,
    f'has skip_leak={network.skip_leak}': network.skip_leak != 0,
    'has affine normalisations': network.affine,
    'normalises its innermost level': network.norm_innermost,
  }
  return ' and '.join(reason for reason, holds in reasons.items() if holds)
