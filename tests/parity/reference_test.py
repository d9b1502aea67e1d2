"""The pool and the schedule against what the PyTorch reference does.

Its code is not here: these are its rules in plain Python.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax.gan import image_pool
from cyclegan_jax.gan import schedules


class Pool:
  """Stores and returns until full; then swaps with probability one half."""

  def __init__(self, size):
    self.size, self.images = size, []

  def show(self, image, *, swap, slot):
    if len(self.images) < self.size:
      self.images.append(image)
      return image
    if not swap:
      return image
    shown, self.images[slot] = self.images[slot], image
    return shown


def draw(key, size):
  """What `image_pool.query` draws for one image: (whether to swap, slot)."""
  swap_key, slot_key = jax.random.split(key)
  slot = jax.random.randint(slot_key, (), 0, size)
  return bool(jax.random.bernoulli(swap_key)), int(slot)


@pytest.mark.parametrize('size,batch', [(1, 1), (3, 2), (5, 4)])
def test_the_pool_decides_as_theirs_given_the_same_draws(size, batch):
  ours, theirs = image_pool.create_pool(size, (1, 1, 1)), Pool(size)
  query = jax.jit(image_pool.query)
  swaps = 0
  for step in range(12):
    key = jax.random.key(step)
    numbers = range(batch * step, batch * (step + 1))
    fakes = jnp.asarray(numbers, jnp.float32).reshape(-1, 1, 1, 1)
    ours, shown = query(ours, fakes, key)
    expected = []
    for number, each in zip(numbers, jax.random.split(key, batch), strict=True):
      swap, slot = draw(each, size)
      expected.append(theirs.show(number, swap=swap, slot=slot))
    swaps += sum(a != b for a, b in zip(numbers, expected, strict=True))
    np.testing.assert_array_equal(shown.ravel(), expected)
    stored = np.asarray(ours.images).ravel()[: len(theirs.images)]
    np.testing.assert_array_equal(stored, theirs.images)
    assert ours.count == len(theirs.images)
  assert swaps > 2


_RATE = 2e-4


def reference_rate(epoch):
  """Of a whole epoch, from 1: 100 constant, 100 decaying, the last one at 0."""
  return _RATE * (1 - max(0, epoch + 1 - 100) / 101)


def test_the_schedule_is_theirs_up_to_their_last_epoch():
  """199 epochs, of which 101 decay: what is left is the one at rate 0.

  At its first update an epoch has their rate; within it ours goes on to that of
  the next epoch, where theirs jumps.
  """
  updates = 7
  schedule = schedules.hold_then_decay(
    _RATE, num_steps=199 * updates, decay_steps=101 * updates
  )
  rates = np.asarray(schedule(jnp.arange(199 * updates))).reshape(199, updates)
  theirs = np.array([reference_rate(epoch) for epoch in range(1, 201)])
  np.testing.assert_allclose(rates[:, 0], theirs[:199], rtol=1e-4)
  assert np.all(theirs[:199] * (1 + 1e-4) >= rates.T)
  assert np.all(theirs[1:] * (1 - 1e-4) <= rates.T)
  assert theirs[199] == 0 and rates.min() > 0


def test_the_recipes_schedule_is_never_far_above_theirs():
  """200 epochs, of which 100 decay, as recipes have it: none is lost."""
  schedule = schedules.hold_then_decay(_RATE, num_steps=200, decay_steps=100)
  for epoch in range(1, 201):
    more = float(schedule(epoch - 1)) - reference_rate(epoch)
    assert -1e-9 <= more <= 0.02 * _RATE
