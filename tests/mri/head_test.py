"""Heads against exact masks, those of the tissues they are simulated from."""

import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax.contrast import layer
from cyclegan_jax.data import phantom
from cyclegan_jax.data import sequences
from cyclegan_jax.mri import head

_BRAIN = 4  # the first tissues: what is left of a stripped head
_SIZES = (64, 128)


@pytest.fixture(scope='module')
def anatomies():
  """A person of three slices at each size."""
  found = {}
  for size in _SIZES:
    template = phantom.load_template(blur=0.4 * phantom.FIELD_OF_VIEW / size)
    rng = np.random.default_rng(7)
    heights = np.array([72, 90, 110])
    found[size] = phantom.simulate_anatomy(
      template, rng, heights, image_size=size
    )
  return found


def simulate(anatomy, sequence, *, noise, stripped=False, seed=0):
  """Slices [S, H, W], 1 the brightest tissue, and where they show the head.

  Args:
    anatomy: of a person.
    sequence: of the scan.
    noise: of either channel, a share of the brain's signal.
    stripped: whether brain and fluid are all that is left.
    seed: of the noise.
  """
  rng = np.random.default_rng(seed)
  tr, te = sequence
  signals = sequences.spin_echo_signal(*anatomy.tissues, tr=tr, te=te)
  kept = _BRAIN if stripped else len(signals)
  fractions = anatomy.fractions[..., :kept]
  images = fractions @ signals[:kept]
  sigma = noise * signals[:2].mean()
  channels = rng.normal(0, sigma, (2, *images.shape))
  images = np.hypot(images + channels[0], channels[1])
  mask = fractions.sum(-1) > 0.5
  return images / np.percentile(images[mask], 99.5), mask


def dice(first, second):
  return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize('size', _SIZES)
@pytest.mark.parametrize('sequence', [sequences.T1W, sequences.T2W])
@pytest.mark.parametrize('stripped', [False, True], ids=['whole', 'stripped'])
@pytest.mark.parametrize('noise', [0.0, 0.03, 0.06, 0.1])
def test_heads_are_as_exact_masks_have_them(
  anatomies, size, sequence, stripped, noise
):
  images, mask = simulate(
    anatomies[size], sequence, noise=noise, stripped=stripped
  )
  found = head.find_heads(images)
  assert dice(found, mask) >= 0.97
  assert dice(head.find_heads(images + 0.3), mask) >= 0.97  # so is air
  padded = np.pad(images, ((0, 0), (9, 9), (9, 9)))  # this has no noise
  inner = (slice(None), slice(9, -9), slice(9, -9))
  within = head.find_heads(padded)
  assert dice(within[inner], mask) >= 0.97
  assert within.sum() == within[inner].sum()
  # What a compiled step can tell comes near it.
  seen = np.asarray(layer.find_heads(jnp.float32(images[..., None])))
  assert dice(seen[..., 0], mask) >= 0.95


def test_noisy_air_is_no_head(anatomies):
  """The share of the air: a threshold of 2 % of the range takes most of it."""
  images, mask = simulate(anatomies[64], sequences.T1W, noise=0.04)
  found = head.find_heads(images)
  assert (images > 0.02)[~mask].mean() > 0.5
  assert found[~mask].mean() < 0.02


def test_fluid_and_bone_inside_are_head():
  rows, columns = np.ogrid[-20:20, -20:20]
  images = np.where(np.hypot(rows, columns) < 17, 0.5, 0.0)[None]
  whole = images > 0
  images[:, 15:25, 18:22] = 0  # ventricles, as black as air
  assert dice(head.find_heads(images), whole) > 0.99


def test_slices_without_a_head_have_none(anatomies):
  images, _ = simulate(anatomies[64], sequences.T2W, noise=0.05)
  rng = np.random.default_rng(1)
  blank = np.hypot(*rng.normal(0, 0.03, (2, *images.shape)))
  assert not head.find_heads(blank).any()
  assert not head.find_heads(np.full((2, 32, 32), 0.4)).any()
  found = head.find_heads(np.concatenate([images, blank]))
  assert found[: len(images)].any(axis=(1, 2)).all()
  assert not found[len(images) :].any()


def test_parts_of_one_slice_are_kept_and_specks_are_not():
  """Low slices of a stripped brain show the temporal lobes apart."""
  images = np.zeros((1, 64, 64))
  images[0, 10:30, 5:20] = images[0, 10:30, 44:59] = 0.8
  images[0, 40:60, 20:44] = 0.6
  lobes = images > 0
  images[0, 2:5, 2:5] = 0.7
  found = head.find_heads(images)
  assert dice(found, lobes) > 0.99
  assert not found[0, :8].any()
