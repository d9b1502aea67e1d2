"""What a step says of itself: numbers by name, in one array of a device.

A training fetches those of many steps at once: an array each, not fourteen.
"""

from collections.abc import Mapping
from typing import Any

from flax import struct
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


def stack(metrics: array_types.Metrics) -> StepMetrics:
  """The same numbers, by the order of their names."""
  names = tuple(sorted(metrics))
  return StepMetrics(jnp.stack([metrics[name] for name in names]), names)
