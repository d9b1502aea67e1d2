"""Checkpoints for the fuzzer: how one is written, and read as the product does.

All that the fuzzer knows of `runtime/checkpoint.py` is in this file.
"""

import pathlib

import numpy as np

_STEP = 7
_META = {
  'step': _STEP,
  'intensities': {},
  'patients': {'salt': '00', 'marks': ['aa']},
  'config': {'image_size': 16, 'domains': ['T1w', 'T2w']},
}


def make_trees() -> dict:
  """What is saved: one network with two arrays."""
  import jax.numpy as jnp

  numbers = np.random.default_rng(1).normal(size=(3, 3, 2, 4))
  kernel = jnp.asarray(numbers, jnp.float32)
  params = {'conv': {'kernel': kernel, 'bias': jnp.arange(4.0)}}
  return {'gen_ab': {'params': params, 'step': _STEP}}


def write(workdir: pathlib.Path):
  """Saves one checkpoint in a workdir."""
  from cyclegan_jax.runtime import checkpoint

  with checkpoint.open_checkpoints(workdir, 'newest', keep=1) as manager:
    checkpoint.save(manager, _STEP, make_trees(), None, _META)
    manager.wait_until_finished()


def read(workdir: pathlib.Path) -> bool:
  """Reads one as resuming and as translating do.

  Returns:
    Whether all of it is what was saved.

  Raises:
    UserError: if it is damaged.
  """
  import jax

  from cyclegan_jax.runtime import checkpoint

  trees = make_trees()
  with checkpoint.open_checkpoints(workdir, 'newest', keep=1) as manager:
    same = checkpoint.restore_meta(manager) == _META
    found = [(checkpoint.restore(manager, trees, None), trees)]
  path = checkpoint.find(workdir)
  same &= checkpoint.read_meta(path) == _META
  like = trees['gen_ab']['params']
  found.append((checkpoint.restore_params(path, ('ema', 'gen_ab'), like), like))
  return same and all(
    bool(np.array_equal(one, other))
    for pair in found
    for one, other in zip(*map(jax.tree.leaves, pair), strict=True)
  )
