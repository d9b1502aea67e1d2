"""CycleGAN in JAX: one MRI contrast into another, without paired scans.

translator = cyclegan_jax.load('runs/mine', direction='ab')
synthetic = translator(nibabel.load('anna_T1.nii.gz'))
"""

from typing import Any

from cyclegan_jax import version

__version__ = version.VERSION


def load(
  workdir: Any,
  direction: str = 'ab',
  *,
  checkpoint: str = 'newest',
  batch_size: int = 4,
):
  """A model, ready to translate: see `door.Model`.

  Args:
    workdir: of a run, or a file of `--mode=pack`.
    direction: 'ab', from domain a to b, or 'ba'.
    checkpoint: 'newest', 'best' as judged without pairs, or a step.
    batch_size: slices at a time, on each device.

  Raises:
    errors.UserError: if there is no such model, in a line.
  """
  # Here, since JAX takes seconds to import, which most of the package need not.
  from cyclegan_jax import door

  return door.load(
    workdir, direction, checkpoint=checkpoint, batch_size=batch_size
  )
