"""What a step says of itself: numbers by name, in one array of a device.

A training fetches those of many steps at once: an array each, not fourteen.
"""

from collections.abc import Mapping
import json
from typing import Any

from flax import struct
from jax import export
import jax.numpy as jnp

from cyclegan_jax import array_types


class StepMetrics(struct.PyTreeNode, Mapping):
  vector: Any  # [M] float
  names: tuple[str, ...] = struct.field(pytree_node=False)

  def __getitem__(self, name):
    return self.vector[self.names.index(name)]

  def __iter__(self):
    return iter(self.names)

  def __len__(self):
    return len(self.names)


# For a traced step to be kept: it says what it returns.
export.register_pytree_node_serialization(
  StepMetrics,
  serialized_name='cyclegan_jax.StepMetrics',
  serialize_auxdata=lambda names: json.dumps(names).encode(),
  deserialize_auxdata=lambda stored: tuple(map(tuple, json.loads(stored))),
)


def stack(metrics: array_types.Metrics) -> StepMetrics:
  """The same numbers, by the order of their names."""
  names = tuple(sorted(metrics))
  return StepMetrics(jnp.stack([metrics[name] for name in names]), names)
