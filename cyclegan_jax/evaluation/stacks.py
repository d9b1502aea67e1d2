"""Slices at the networks' size, translated in batches of one shape."""

from collections.abc import Callable
from collections.abc import Mapping

import jax
import numpy as np

from cyclegan_jax.mri import channels

BATCH = 4
# {'fake_a', 'fake_b'} of a batch {'a', 'b'}, each [B, H, W, C] in [-1, 1].
Translate = Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]


def translate_stacks(
  images: Mapping[str, np.ndarray], translate: Translate
) -> dict[str, np.ndarray]:
  """{'fake_a', 'fake_b'}, each as many as there are of its source.

  Gray, [N, S, S] in [0, 1].

  Args:
    images: of domain 'a' and 'b', [N, S, S] or, as the networks take them,
      [N, S, S, C] in [0, 1]; N may differ.
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
      domain: channels.spread(each[start : start + BATCH], 1).astype(np.float32)
      for domain, each in filled.items()
    }
    for name, fakes in jax.device_get(translate(batch)).items():
      made[name].append((channels.to_gray(fakes) + 1) / 2)
  sources = {'fake_a': 'b', 'fake_b': 'a'}
  return {
    name: np.concatenate(fakes)[: len(images[sources[name]])]
    for name, fakes in made.items()
  }
