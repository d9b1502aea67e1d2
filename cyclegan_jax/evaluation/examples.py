"""Slices that stand for patients: of the best, the median and the worst."""

from collections.abc import Sequence
import statistics
from typing import NamedTuple

import numpy as np

from cyclegan_jax.evaluation import cases
from cyclegan_jax.evaluation import metrics
from cyclegan_jax.evaluation import scores

_DRAWN = 4  # rows of a picture of fewer patients than have ranks
RANKS = ('best', 'median', 'worst')


class Example(NamedTuple):
  """One slice of a patient in one direction, and how the patient scored.

  Attributes:
    case: name of the scan.
    row: number of the slice.
    psnr, ssim: of this slice.
    score: PSNR of the whole scan, which ranks it.
    images: input, translation and truth, each [H, W] uint8.
    pixel_size: height and width of a pixel, mm; squares where not known.
  """

  case: str
  row: int
  psnr: float
  ssim: float
  score: float
  images: tuple[np.ndarray, np.ndarray, np.ndarray]
  pixel_size: tuple[float, float]


def find(
  case: cases.Case, records: Sequence[dict], *, count: int
) -> dict[str, list[Example]]:
  """Slices of a patient, spread over the head, by direction.

  Args:
    case: with both scans and both translations.
    records: its own, of `scores.score_pair`.
    count: of slices.
  """
  found = {}
  mask = case.masks['both']
  inside = np.flatnonzero(mask.any(axis=(1, 2)))
  for source, target in ('ab', 'ba'):
    direction = source + target
    (score,) = (
      record['psnr']
      for record in scores.select(records)
      if record['direction'] == direction
    )
    examples = found[direction] = []
    for share in (np.arange(count) + 1) / (count + 1):
      row = int(inside[int(share * len(inside))])
      given, fake, truth = (
        case.images[stage][row] for stage in (source, f'fake_{target}', target)
      )
      examples.append(
        Example(
          case=case.name,
          row=case.numbers[row] if case.numbers else row,
          psnr=metrics.psnr(truth, fake, mask[row]),
          ssim=metrics.ssim(truth, fake, mask[row]),
          score=score,
          # Of thousands of patients one slice each fits in memory so.
          images=tuple(map(_to_bytes, (given, fake, truth))),
          pixel_size=(case.spacing or (1.0, 1.0, 1.0))[1:],
        )
      )
  return found


def how_many(jobs: int) -> int:
  """Slices to take of each of so many patients."""
  return 1 if jobs >= len(RANKS) else -(-_DRAWN // jobs)


def choose(examples: Sequence[Example]) -> list[tuple[str, Example]]:
  """The best, the median and the worst patient; of fewer, what there is.

  Args:
    examples: of one direction.

  Returns:
    Each with what it is called: its rank, or nothing.
  """
  if len({each.case for each in examples}) < len(RANKS):
    return [('', each) for each in examples[:_DRAWN]]
  ordered = sorted(examples, key=lambda each: -each.score)
  middle = statistics.median_low(range(len(ordered)))
  return list(
    zip(RANKS, (ordered[0], ordered[middle], ordered[-1]), strict=True)
  )


def label(rank: str, example: Example) -> str:
  """What a picture says beside an example, in lines."""
  lines = [f'{rank}: {example.score:.1f} dB'] if rank else []
  lines += [example.case, f'slice {example.row}:']
  return '\n'.join([*lines, f'{example.psnr:.1f} dB / {example.ssim:.2f}'])


def rows(chosen: Sequence[tuple[str, Example]]) -> list[tuple]:
  """Examples as `pictures.draw_comparison` takes them, in [0, 1]."""
  return [
    (label(rank, each), *(image / 255 for image in each.images))
    for rank, each in chosen
  ]


def _to_bytes(image):
  return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
