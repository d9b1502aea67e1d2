"""A look at the held-out slices while a run trains."""

from collections.abc import Callable
import dataclasses

import jax
import numpy as np

from cyclegan_jax import array_types
from cyclegan_jax import build
from cyclegan_jax import data as data_lib
from cyclegan_jax import state as state_lib
from cyclegan_jax.mri import head
from cyclegan_jax.mri import metrics as image_metrics
from cyclegan_jax.mri import slices

_EVAL_BATCH = 4
_SAMPLES = 4


def validate(
  state: state_lib.CycleGANState,
  pairs: dict[str, slices.SliceSet],
  translate: Callable,
) -> dict[str, float]:
  """Scores translations of held-out pairs against the truth, in the head.

  Args:
    state: whose generators translate.
    pairs: slices of domain a and b with the same names.
    translate: `steps.translate`, compiled.

  Returns:
    Means over slices: psnr_ab, ssim_ab, psnr_ba, ssim_ba, and psnr_unchanged,
    ssim_unchanged of the untranslated input (the same in both directions).
  """
  scores = {}
  for batch in data_lib.eval_batches(pairs, batch_size=_EVAL_BATCH):
    valid = batch.pop('mask')
    images = {
      name: (each[..., 0] + 1) / 2
      for name, each in (
        batch | jax.device_get(translate(state, batch))
      ).items()
    }
    heads = head.find_heads(images['a']) | head.find_heads(images['b'])
    for row in np.flatnonzero(valid & heads.any(axis=(1, 2))):
      mask = heads[row]
      pictures_01 = {name: each[row] for name, each in images.items()}
      a, b = pictures_01['a'], pictures_01['b']
      for name, truth, image in (
        ('ab', b, pictures_01['fake_b']),
        ('ba', a, pictures_01['fake_a']),
        ('unchanged', b, a),
      ):
        for metric in (image_metrics.psnr, image_metrics.ssim):
          scores.setdefault(f'{metric.__name__}_{name}', []).append(
            metric(truth, image, mask)
          )
  return {name: float(np.mean(values)) for name, values in scores.items()}


def draw_batch(data: build.Data, *, image_size: int) -> array_types.Batch:
  """A few images of each domain for the sample grids: held-out ones if any."""
  spread = {}
  for domain, slices_ in (data.pairs or data.train).items():
    rows = np.linspace(0, len(slices_) - 1, _SAMPLES + 2)[1:-1].astype(int)
    chosen = tuple(slices_.slices[row] for row in rows)
    spread[domain] = dataclasses.replace(slices_, slices=chosen)
  batch = next(data_lib.eval_batches(spread, batch_size=_SAMPLES))
  del batch['mask']
  return {
    domain: slices.crop_middle(images, image_size)
    for domain, images in batch.items()
  }
