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
  numbers = np.random.default_rng(1).normal(size=(3, 3, 2, 4))
  bias = np.arange(4, dtype=np.float32)
  params = {'conv': {'kernel': numbers.astype(np.float32), 'bias': bias}}
  return {'gen_ab': {'params': params, 'step': np.int32(_STEP)}}


def write(workdir: pathlib.Path):
  """Saves one checkpoint in a workdir."""
  from cyclegan_jax.runtime import checkpoint
  from cyclegan_jax.runtime import kept

  path = workdir / kept.KINDS['newest'] / str(_STEP)
  checkpoint.write(path, make_trees(), _META)


def read(workdir: pathlib.Path) -> bool:
  """Reads one as resuming and as translating do.

  Returns:
    Whether all of it is what was saved.

  Raises:
    UserError: if it is damaged.
  """
  import jax

  from cyclegan_jax.runtime import checkpoint
  from cyclegan_jax.runtime import kept

  trees = make_trees()
  path = kept.find(workdir)
  meta = checkpoint.read_meta(path)
  same = {name: meta[name] for name in _META} == _META
  found = [(checkpoint.read_trees(path, trees), trees)]
  like = trees['gen_ab']['params']
  found.append((checkpoint.read_params(path, ('ema', 'gen_ab'), like), like))
  return same and all(
    bool(np.array_equal(one, other))
    for pair in found
    for one, other in zip(*map(jax.tree.leaves, pair), strict=True)
  )
