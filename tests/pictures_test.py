import numpy as np

from cyclegan_jax import pictures

_STAGES = ('a', 'fake_b', 'cycled_a', 'b', 'fake_a', 'cycled_b')


def draw(size, count=3):
  images = {
    stage: np.full((count, size, size, 1), value, np.float32)
    for stage, value in zip(_STAGES, np.linspace(-0.5, 1, 6), strict=True)
  }
  return np.asarray(pictures.draw_samples(images, ('T1w', 'T2w'), step=7))


def test_rows_are_the_stages_in_order():
  grid = draw(128)
  middle = grid[28 + 64 :: 130, -64]
  np.testing.assert_allclose(
    middle, (np.linspace(-0.5, 1, 6) + 1) * 127.5, atol=1
  )


def test_every_row_and_the_caption_is_labelled():
  grid = draw(128)
  assert grid[:28].max() == 255  # the caption
  for row in range(6):
    top = 28 + row * 130
    assert grid[top : top + 128, :60].max() == 255


def test_small_images_are_enlarged():
  assert draw(32).shape == draw(128).shape
  assert draw(256).shape[0] > draw(128).shape[0]
