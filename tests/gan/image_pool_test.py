import chex
import jax
import jax.numpy as jnp
import numpy as np

from cyclegan_jax.gan import image_pool


def numbered(*numbers):
  """Images of shape [1, 1, 1] that tell their number."""
  return jnp.asarray(numbers, jnp.float32).reshape(-1, 1, 1, 1)


def test_size_0_passes_images_through():
  pool = image_pool.create_pool(0, (2, 2, 1))
  fakes = jnp.ones((3, 2, 2, 1))
  same, shown = image_pool.query(pool, fakes, jax.random.key(0))
  chex.assert_trees_all_equal(shown, fakes)
  chex.assert_trees_all_equal(same, pool)


def test_until_full_images_are_stored_and_returned():
  pool = image_pool.create_pool(5, (1, 1, 1))
  pool, shown = image_pool.query(pool, numbered(1, 2, 3), jax.random.key(0))
  np.testing.assert_array_equal(shown.ravel(), [1, 2, 3])
  assert pool.count == 3
  pool, shown = image_pool.query(pool, numbered(4, 5), jax.random.key(1))
  np.testing.assert_array_equal(shown.ravel(), [4, 5])
  np.testing.assert_array_equal(pool.images.ravel(), [1, 2, 3, 4, 5])


def test_when_full_it_swaps_half_the_time_a_slot_at_random():
  """Replays 4,000 queries in plain Python: only chance is left to check."""
  size, queries = 5, 4000
  pool = image_pool.create_pool(size, (1, 1, 1))
  pool, _ = image_pool.query(pool, numbered(*range(size)), jax.random.key(0))
  fakes = range(size, size + queries)
  pool, shown = jax.jit(image_pool.query)(
    pool, numbered(*fakes), jax.random.key(1)
  )
  stored, swapped_slots = list(range(size)), []
  for fake, image in zip(fakes, np.asarray(shown).ravel(), strict=True):
    if image != fake:  # an earlier one came out, this one takes its place
      slot = stored.index(image)
      stored[slot] = fake
      swapped_slots.append(slot)
  np.testing.assert_array_equal(np.asarray(pool.images).ravel(), stored)
  assert pool.count == size
  # Five standard deviations of the binomial counts.
  assert abs(len(swapped_slots) - queries / 2) < 5 * (queries / 4) ** 0.5
  counts = np.bincount(swapped_slots, minlength=size)
  expected = len(swapped_slots) / size
  assert np.all(abs(counts - expected) < 5 * (expected * 0.8) ** 0.5)


def test_another_key_draws_otherwise():
  pool = image_pool.create_pool(4, (1, 1, 1))
  pool, _ = image_pool.query(pool, numbered(1, 2, 3, 4), jax.random.key(0))
  fakes = numbered(*range(5, 37))
  first, again, other = (
    image_pool.query(pool, fakes, jax.random.key(seed))[1] for seed in (1, 1, 2)
  )
  chex.assert_trees_all_equal(first, again)
  assert not jnp.array_equal(first, other)


def test_a_batch_is_shown_as_its_images_one_after_the_other():
  """Also while the pool fills up, and where turns meet in a slot."""

  def show(pool, images, turns):
    """Plain Python: `turns` says of each whether it swaps, and where."""
    pool, shown = list(pool), []
    for image, (swaps, slot) in zip(images, turns, strict=True):
      shown.append(image)
      if len(pool) < size:
        pool.append(image)
      elif swaps:
        shown[-1], pool[slot] = pool[slot], image
    return pool, shown

  size, pool = 3, image_pool.create_pool(3, (1, 1, 1))
  expected = []
  for start in range(0, 80, 8):
    images = range(start, start + 8)
    key = jax.random.key(start)
    draws = [jax.random.split(each) for each in jax.random.split(key, 8)]
    turns = [
      (
        bool(jax.random.bernoulli(swap)),
        int(jax.random.randint(slot, (), 0, 3)),
      )
      for swap, slot in draws
    ]
    pool, shown = image_pool.query(pool, numbered(*images), key)
    expected, expected_shown = show(expected, images, turns)
    np.testing.assert_array_equal(shown.ravel(), expected_shown)
    np.testing.assert_array_equal(pool.images.ravel(), expected)
