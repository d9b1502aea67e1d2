"""How programs are compiled, where XLA's own way is not the best one.

As options of single programs, not in XLA_FLAGS: they reach a JAX that runs
already and nobody else's programs, and one that a compiler does not know is
left out, where a flag would end the start.
"""

from collections.abc import Callable
from collections.abc import Mapping
import functools
import os
from typing import Any

import jax

from cyclegan_jax import errors

# Measured with benchmarks/step.py on two cores, U-Net of 128 pixels, 64
# features, batch 1.
_CPU = {
  # XLA hands convolutions to a library that takes up to three times as long as
  # its own code: 82 ms against 28 ms for 64 x 64, 256 -> 256, k3. Matrix
  # products it does better, most of all thin ones. 2.9 s -> 2.2 s a step.
  'xla_cpu_experimental_ynn_fusion_type': 'LIBRARY_FUSION_TYPE_DOT',
  # Two threads have nothing to gain from operations that run beside each other,
  # and what waits takes memory: 498 -> 318 MiB of temporaries. It is also what
  # makes rematerialisation save memory on CPU at all.
  'xla_cpu_enable_concurrency_optimized_scheduler': False,
}
# Sums in the order in which threads come are refused; which of the other ways
# to compute a convolution is the fastest is still measured at compilation.
_DETERMINISTIC = {'xla_gpu_exclude_nondeterministic_ops': True}


def options(*, deterministic: bool = False) -> dict[str, Any]:
  """Compiler options for the devices of this process.

  What XLA_FLAGS has is left to it.

  Args:
    deterministic: whether a program has to give the same bits in every run of
      it. A CPU's and a TPU's do; a GPU's are told to.

  Raises:
    UserError: if they should and this compiler does not know how.
  """
  backend = jax.default_backend()
  if backend == 'cpu':
    return known(_CPU)
  if backend == 'tpu' or not deterministic:
    return {}
  if known(_DETERMINISTIC) != _DETERMINISTIC:
    raise errors.UserError(
      f'--config.deterministic: the compiler for {backend} does not know '
      f'{", ".join(_DETERMINISTIC)}; take another version of jax, or False'
    )
  return dict(_DETERMINISTIC)


def jit(function: Callable, **settings: Any) -> Any:
  """`jax.jit` with `options()`; not for what another program calls."""
  return jax.jit(function, compiler_options=options() or None, **settings)


def known(wanted: Mapping[str, Any]) -> dict[str, Any]:
  """Those options that this compiler has and XLA_FLAGS has not."""
  flags = os.environ.get('XLA_FLAGS', '')
  return {
    name: value
    for name, value in wanted.items()
    if name not in flags and _is_known(name, value)
  }


@functools.cache
def _is_known(name, value):
  try:
    jax.jit(lambda: 0).lower().compile({name: value})
  except jax.errors.JaxRuntimeError:  # before anything is compiled
    return False
  return True
