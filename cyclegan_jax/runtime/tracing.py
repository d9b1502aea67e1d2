"""A step as bytes: tracing it is Python, and as long as the rest of a start.

With `jax.export`, which is StableHLO and no pickle: what is read runs nothing
but operations on arrays.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import export


def recall_step(
  program: Callable,
  arguments: tuple[Any, Any, Any],
  recall: Callable[[Callable[[], bytes]], bytes],
  everywhere: jax.sharding.Sharding,
):
  """A step that was traced, written and read: now, or at an earlier start.

  Whether or not it is kept: it is to be the same program.

  Args:
    program: `program(state, batch, key) -> (state, metrics)`, under `jit`.
    arguments: such as it will get.
    recall: what a function returns, or returned for this very step before.
    everywhere: where the new state and the metrics are.

  Returns:
    The step, not yet compiled, which donates its state; `program` itself where
    JAX promises nothing of what the devices want of it.
  """
  state, batch, key = arguments
  leaves, tree = jax.tree.flatten(state)

  # The structure of a state holds functions, which no file can.
  def on_leaves(leaves, batch, key):
    state, metrics = program(jax.tree.unflatten(tree, leaves), batch, key)
    return jax.tree.leaves(state), metrics

  def trace():
    try:
      traced = export.export(jax.jit(on_leaves))(leaves, batch, key)
      return bytes(traced.serialize())
    except ValueError:
      return b''

  stored = recall(trace)
  if not stored:
    return program
  traced = export.deserialize(bytearray(stored))

  def on_state(state, batch, key):
    leaves, metrics = traced.call(jax.tree.leaves(state), batch, key)
    return jax.tree.unflatten(tree, leaves), metrics

  return jax.jit(on_state, donate_argnums=0, out_shardings=everywhere)
