"""Slices at the networks' size, translated in batches of one shape."""

from collections.abc import Callable
from collections.abc import Mapping

import jax
import numpy as np

BATCH = 4
# {'fake_a', 'fake_b'} of a batch {'a', 'b'}, each [B, H, W, 1] in [-1, 1].
Translate = Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]


def translate_stacks(
  images: Mapping[str, np.ndarray], translate: Translate
) -> dict[str, np.ndarray]:
  """{'fake_a', 'fake_b'}, each as many as there are of its source, in [0, 1].

  Args:
    images: of domain 'a' and 'b', [N, S, S] in [0, 1]; N may differ.
    translate: what makes the fakes.
  """
  count = max(map(len, images.values()))
  count = -(-count // BATCH) * BATCH
  filled = {
    domain: np.resize(2 * each - 1, (count, *each.shape[1:]))
    for domain, each in images.items()
  }
  made = {'fake_a': [], 'fake_b': []}
  for start in range(0, count, BATCH):
    batch = {
      domain: each[start : start + BATCH, ..., None].astype(np.float32)
      for domain, each in filled.items()
    }
    for name, fakes in jax.device_get(translate(batch)).items():
      made[name].append((fakes[..., 0] + 1) / 2)
  sources = {'fake_a': 'b', 'fake_b': 'a'}
  return {
    name: np.concatenate(fakes)[: len(images[sources[name]])]
    for name, fakes in made.items()
  }
