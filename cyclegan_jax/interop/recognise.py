"""What network some weights are of, told from their names and shapes alone."""

from collections.abc import Mapping
import dataclasses
import re

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.interop import layout

_SUPPORTED = (
  'read are the ResNet and U-Net generators of pytorch-CycleGAN-and-pix2pix '
  'with instance or batch normalisation, and its PatchGAN discriminators'
)
_COUNT = 'num_batches_tracked'


class _OtherError(Exception):
  """It is another network: why, in words."""


def recognise(
  tensors: Mapping[str, np.ndarray], place: object
) -> tuple[layout.Description, dict[str, np.ndarray]]:
  """The network that weights are of, and those of them that count.

  Older versions of the reference kept statistics of instance normalisations:
  they have neither scale nor offset beside them, as batch normalisations have.
  They are dropped: its `test.py` uses them with `--eval` alone, its training
  never. Padding by replication leaves the same
  names as by reflection, and cannot be told from it; no option of the reference
  asks for it.

  Args:
    tensors: by name, as `weights.read` gives them.
    place: where they were found, for a message.

  Raises:
    UserError: if there is anything else in them than in such a network.
  """
  own = {n: x for n, x in tensors.items() if not n.endswith(f'.{_COUNT}')}
  unused = [
    name
    for name in own
    if name.endswith(('.running_mean', '.running_var'))
    and f'{name.rpartition(".")[0]}.weight' not in own
  ]
  own = {name: x for name, x in own.items() if name not in unused}
  try:
    network = _describe(own)
    _compare(layout.list_shapes(network), own)
  except _OtherError as error:
    raise errors.UserError(
      f'{place} is a network that is not read: {error}; {_SUPPORTED}'
    ) from None
  if not all(np.isfinite(each).all() for each in own.values()):
    raise errors.UserError(
      f'{place} holds numbers that are infinite or none: take an earlier epoch'
    )
  return network, own


def _describe(own):
  if any('.conv_block.' in name for name in own):
    found = _describe_resnet(own)
  elif any(name.startswith('model.model.') for name in own):
    found = _describe_unet(own)
  elif _sides(own, 'model.0.weight')[2:] == (4, 4):
    found = _describe_patches(own)
  else:
    raise _OtherError(f'its first weights are {min(own)}')
  norms = [name for name in own if own[name].ndim == 1 and _scales(own, name)]
  batch = any(name.endswith('.running_mean') for name in own)
  if norms and not batch:
    raise _OtherError(f'{norms[0]} is of an instance normalisation that learns')
  # Of a layer that a normalisation follows.
  first = next(x for x in layout.list_layers(found) if x.norm)
  bias = f'{first.theirs}.bias' in own
  if not bias and not batch and f'{first.theirs}.weight' in own:
    raise _OtherError('it has no normalisation')
  norm = 'batch' if batch else 'instance'
  return dataclasses.replace(found, norm=norm, bias=bias)


def _describe_resnet(own):
  numbers = {
    int(found[1])
    for name in own
    if (found := re.match(r'model\.(\d+)\.conv_block\.', name))
  }
  if 'model.10.conv_block.0.weight' in own:
    raise _OtherError('it pads with zeros, and not by reflection')
  features, channels, *_ = _sides(own, 'model.1.weight')
  _check_channels(own, f'model.{17 + len(numbers)}.weight', 0, channels)
  second = own.get('model.10.conv_block.6.weight')
  return layout.Description(
    kind='resnet',
    channels=channels,
    features=features,
    depth=len(numbers),
    dropout=second is not None and second.ndim == 4,
  )


def _describe_unet(own):
  features, channels, *_ = _sides(own, 'model.model.0.weight')
  place, levels = 'model.model.1.model', 1
  while f'{place}.1.weight' in own:
    place, levels = f'{place}.3.model', levels + 1
  if levels < layout.LEAST_LEVELS:
    raise _OtherError(f'it is a U-Net of {levels} levels')
  _check_channels(own, 'model.model.3.weight', 1, channels)
  return layout.Description(
    kind='unet', channels=channels, features=features, depth=levels
  )


def _describe_patches(own):
  features, channels, *_ = _sides(own, 'model.0.weight')
  convolutions = [name for name in own if own[name].ndim == 4]
  if len(convolutions) < 3:
    raise _OtherError(f'it has {len(convolutions)} convolutions')
  return layout.Description(
    kind='patches',
    channels=channels,
    features=features,
    depth=len(convolutions) - 2,
  )


def _check_channels(own, last, axis, channels):
  if last not in own or own[last].ndim != 4:
    return  # which is told with all the rest
  made = own[last].shape[axis]
  if made != channels:
    raise _OtherError(
      f'it takes images of {channels} channels and makes {made}'
    )


def _scales(own, name):
  """Whether it is the scale of a normalisation."""
  return name.endswith('.weight') and f'{name[: -len("weight")]}bias' in own


def _sides(own, name):
  """The shape of a kernel; zeros where there is none."""
  array = own.get(name)
  return array.shape if array is not None and array.ndim == 4 else (0,) * 4


def _compare(expected, own):
  """Refuses what is too much, missing, or of another shape."""
  extra = sorted(own.keys() - expected.keys())
  missing = sorted(expected.keys() - own.keys())
  if extra or missing:
    told = [
      f'{what} {names[0]}{f" and {len(names) - 1} more" if names[1:] else ""}'
      for what, names in (('it has', extra), ('it lacks', missing))
      if names
    ]
    raise _OtherError(' and '.join(told))
  for name, shape in expected.items():
    if own[name].dtype.kind != 'f':
      raise _OtherError(f'{name} holds whole numbers, {own[name].dtype}')
    if own[name].shape != shape:
      found = ' x '.join(map(str, own[name].shape))
      wanted = ' x '.join(map(str, shape))
      raise _OtherError(f'{name} is {found}, where {wanted} was expected')
