"""What can be told of a run while it trains.

Without pairs, from slices that it trains on: how far translations are from
looking as the other contrast does at each place of a head; whether they kept
the polarity of their input, dark where it is dark; whether they depend on it at
all. With held-out pairs, scores against the truth. See docs/quality.md for how
far to trust which.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

from cyclegan_jax.contrast import atlas
from cyclegan_jax.data import batches as batches_lib
from cyclegan_jax.data import slices as slices_lib
from cyclegan_jax.evaluation import metrics
from cyclegan_jax.evaluation import stacks
from cyclegan_jax.mri import channels
from cyclegan_jax.mri import head

_SLICES = 64  # of each domain are translated
# From correlations: how much nearer to 1 than it should be is the wrong way.
_KEPT = 0.5
_SAME = 0.1  # of the variance that slices have
_METRICS = {'psnr': metrics.psnr, 'ssim': metrics.ssim}


class Watched(NamedTuple):
  """Slices of a domain, and what its translations are held against.

  Attributes:
    images: [N, S, S, C] in [0, 1].
    heads: [N, S, S] bool.
    means: pixels at each place, [P], and their means, [1, P].
    histograms: likewise, [16, P].
    variance: between slices, averaged over pixels.
  """

  images: np.ndarray
  heads: np.ndarray
  means: tuple[np.ndarray, np.ndarray]
  histograms: tuple[np.ndarray, np.ndarray]
  variance: float


def choose(
  train: Mapping[str, slices_lib.SliceSet], *, image_size: int
) -> dict[str, Watched]:
  """Slices of both training domains, spread over them; their inner square."""
  chosen = {}
  for domain, slices in train.items():
    images = slices_lib.load_spread(slices, _SLICES)
    images = (slices_lib.crop_middle(images, image_size) + 1) / 2
    gray = channels.to_gray(images)
    heads = head.find_heads(gray)
    chosen[domain] = Watched(
      images=images,
      heads=heads,
      means=atlas.average(heads, [(0, gray)]),
      histograms=atlas.histograms(heads, gray),
      variance=float(gray.var(axis=0).mean()),
    )
  return chosen


def measure(
  watched: Mapping[str, Watched], translate: stacks.Translate
) -> dict[str, float]:
  """Measures translations of the slices that are watched.

  Args:
    watched: from `choose`.
    translate: what is to be judged.

  Returns:
    For 'ab' and 'ba': distance_ab, of the intensities at every place from what
    the target domain has there (`atlas.measure_distance`), of the range;
    polarity_ab, the correlation of the translations' means at places with the
    source's, and wanted_polarity_ab, of the target domain's with them;
    variance_ab, between translations of different slices, as a share of that
    in the source or the target domain, the lesser. And distance, the mean of
    both directions: the smaller, the better. Without distances where the two
    domains show no place of a head in common.
  """
  made = stacks.translate_stacks(
    {domain: each.images for domain, each in watched.items()}, translate
  )
  comparable = atlas.weigh(*(each.means[0] for each in watched.values())).any()
  measures = {}
  for source, target in ('ab', 'ba'):
    direction = source + target
    own, other = watched[source], watched[target]
    images = made[f'fake_{target}']
    means = atlas.average(own.heads, [(0, images)])
    lesser = min(own.variance, other.variance)
    if comparable:
      measures[f'distance_{direction}'] = atlas.measure_distance(
        atlas.histograms(own.heads, images), other.histograms
      )
    measures |= {
      f'polarity_{direction}': _correlate(means, own.means),
      f'wanted_polarity_{direction}': _correlate(other.means, own.means),
      # A single slice differs from none: nothing is to be expected then.
      f'variance_{direction}': (
        float(images.var(axis=0).mean() / lesser) if lesser > 1e-9 else 1.0
      ),
    }
  if comparable:
    both = [measures[f'distance_{direction}'] for direction in ('ab', 'ba')]
    measures['distance'] = sum(both) / 2
  return measures


def find_troubles(
  measures: Mapping[str, float], names: Mapping[str, str]
) -> dict[str, str]:
  """What is wrong with translations, in words, by measure; nothing if all well.

  Args:
    measures: from `measure`.
    names: of the domains, for people.
  """
  troubles = {}
  for source, target in ('ab', 'ba'):
    direction = source + target
    what = f'{names[source]} to {names[target]}'
    polarity, wanted, variance = (
      measures[f'{name}_{direction}']
      for name in ('polarity', 'wanted_polarity', 'variance')
    )
    if variance < _SAME:
      troubles[f'variance_{direction}'] = (
        f'{what}: outputs no longer depend on inputs: they differ from each '
        f'other {variance:.0%} as much as slices of the training scans do'
      )
    elif polarity > wanted + _KEPT:
      troubles[f'polarity_{direction}'] = (
        f"{what}: the output keeps the input's polarity: between places of the "
        f'head it goes with {names[source]} (correlation {polarity:.2f}), '
        f'{names[target]} does not ({wanted:.2f})'
      )
  return troubles


def validate(
  pairs: Mapping[str, slices_lib.SliceSet], translate: stacks.Translate
) -> dict[str, float]:
  """Scores translations of held-out pairs against the truth, in the head.

  Args:
    pairs: slices of domain a and b with the same names.
    translate: what is to be judged.

  Returns:
    Means over slices: psnr_ab, ssim_ab, psnr_ba, ssim_ba, and psnr_unchanged,
    ssim_unchanged of the untranslated input (the same in both directions).
  """
  scores = {}
  for batch in batches_lib.eval_batches(pairs, batch_size=stacks.BATCH):
    valid = batch.pop('mask')
    images = batch | jax.device_get(translate(batch))
    images = {
      name: (channels.to_gray(each) + 1) / 2 for name, each in images.items()
    }
    heads = head.find_heads(images['a']) | head.find_heads(images['b'])
    for row in np.flatnonzero(valid & heads.any(axis=(1, 2))):
      for name, truth, image in (
        ('ab', 'b', 'fake_b'),
        ('ba', 'a', 'fake_a'),
        ('unchanged', 'b', 'a'),
      ):
        for metric, score in _METRICS.items():
          scores.setdefault(f'{metric}_{name}', []).append(
            score(images[truth][row], images[image][row], heads[row])
          )
  return {name: float(np.mean(values)) for name, values in scores.items()}


def _correlate(found, other):
  """Of the means at places; 0 if either is the same everywhere."""
  weights = atlas.weigh(found[0], other[0])
  first, second = (each - weights @ each for each in (found[1][0], other[1][0]))
  scale = np.sqrt((weights @ first**2) * (weights @ second**2))
  return float(weights @ (first * second) / scale) if scale > 1e-9 else 0.0
