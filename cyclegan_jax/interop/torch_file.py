"""A generator as a state dict of PyTorch, for the reference's program.

Names and shapes are those of junyanz/pytorch-CycleGAN-and-pix2pix: its networks
take the file with `load_state_dict(strict=True)`.
"""

from collections.abc import Mapping
import pathlib
from typing import Any

from flax import linen as nn

from cyclegan_jax.interop import counterpart
from cyclegan_jax.interop import weights

load = counterpart.load


def describe(network: nn.Module) -> dict[str, str]:
  """As `counterpart.describe_file`; refuses a PyTorch that is too old."""
  weights.import_torch('what --format=torch writes')
  return counterpart.describe_file(network)


def write(
  path: pathlib.Path, network: nn.Module, params: Any, metadata: Mapping
):
  """Writes the parameters of a generator under the reference's names.

  Args:
    path: of the file.
    network: a generator.
    params: its parameters, NumPy arrays.
    metadata: not in the file, which holds tensors alone.

  Raises:
    UserError: if the reference has no such network.
  """
  del metadata
  torch = weights.import_torch(path)
  tensors = counterpart.to_tensors(network, params)
  state = {name: torch.from_numpy(x.copy()) for name, x in tensors.items()}
  torch.save(state, path)
