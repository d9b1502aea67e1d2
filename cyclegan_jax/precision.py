"""How accelerators round what convolutions and products of matrices read.

A GPU from Ampere on takes float32 as TF32, of 10 bits, and a TPU as bfloat16,
of 7, unless told not to: JAX's default. A CPU computes float32 in any case.
"""

import jax

KINDS = ('default', 'high', 'highest')


def choose(kind: str):
  """A context in which what is traced is computed so.

  Args:
    kind: 'default' is the device's own way; 'high' is TF32 on a GPU, and on a
      TPU three passes of bfloat16, which are nearly float32; 'highest' is that.
  """
  return jax.default_matmul_precision(kind)


def exactly():
  """As `choose('highest')`: of what people see, measure or take elsewhere."""
  return choose('highest')
