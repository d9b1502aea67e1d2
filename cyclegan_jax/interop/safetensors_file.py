"""The state dict of `torch_file` as safetensors: no torch is needed for it."""

from collections.abc import Mapping
import pathlib
from typing import Any

from flax import linen as nn
from safetensors import numpy as safetensors

from cyclegan_jax.interop import counterpart

describe = counterpart.describe_file
load = counterpart.load


def write(
  path: pathlib.Path, network: nn.Module, params: Any, metadata: Mapping
):
  """Writes the parameters of a generator under the reference's names.

  Args:
    path: of the file.
    network: a generator.
    params: its parameters, NumPy arrays.
    metadata: words for words, kept in the file.

  Raises:
    UserError: if the reference has no such network.
  """
  tensors = counterpart.to_tensors(network, params)
  path.write_bytes(safetensors.save(tensors, dict(metadata)))
