"""Gray, colour and the level of a slice as a network takes them."""

import numpy as np

from cyclegan_jax.mri import channels


def test_levels_lie_beside_gray_and_are_no_part_of_the_picture():
  images = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5)).astype('f4')
  made = channels.spread(images, channels.LEVELLED, np.array([0.0, 0.5, 1.0]))
  assert made.shape == (3, 4, 5, 2) and made.dtype == np.float32
  np.testing.assert_array_equal(made[:, 0, 0, 1], [-1, 0, 1])
  assert (np.ptp(made[..., 1], axis=(1, 2)) == 0).all()
  np.testing.assert_array_equal(channels.to_gray(made), images)
  assert channels.of_images(channels.LEVELLED) == 1


def test_where_no_level_is_known_it_is_the_middle():
  images = np.full((2, 3, 3), 0.4, np.float32)
  made = channels.spread(images, channels.LEVELLED)
  middle = channels.spread(images, channels.LEVELLED, np.array([0.5, 0.5]))
  np.testing.assert_array_equal(made, middle)
  np.testing.assert_array_equal(
    channels.spread(middle, channels.LEVELLED), middle
  )


def test_colours_are_repeated_gray():
  images = np.full((2, 3, 3), 0.4, np.float32)
  np.testing.assert_array_equal(
    channels.spread(images, 3), np.full((2, 3, 3, 3), 0.4, np.float32)
  )
  assert channels.of_images(3) == 3
