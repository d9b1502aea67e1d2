import numpy as np
import pytest

from cyclegan_jax.mri import framing


def disc(shape, center, radius, spacing=(1.0, 1.0)):
  y, x = np.indices(shape)
  y, x = (y - center[0]) * spacing[0], (x - center[1]) * spacing[1]
  return np.where(y**2 + x**2 < radius**2, 1.0, -1.0)[None]


def test_coarse_and_fine_scans_meet_the_network_at_one_scale():
  """A disc of 20 mm radius, whatever its pixels, is one of 20 pixels."""
  for spacing in ((1, 1), (0.5, 0.5), (2, 0.5)):
    shape = tuple(round(80 / mm) for mm in spacing)
    center = tuple((n - 1) / 2 for n in shape)
    image = disc(shape, center, 20, spacing)
    resized = framing.resize_by_spacing(shape, spacing, 1.0)
    assert resized == (80, 80)
    frame = framing.frame_square(shape, resized, 64)
    inside = framing.place(image, frame, fill=-1)[0] > 0
    assert inside.sum() == pytest.approx(np.pi * 20**2, rel=0.04)
    assert abs(int(inside.any(0).sum()) - int(inside.any(1).sum())) <= 1


def test_a_head_off_centre_is_cropped_about_its_middle():
  image = disc((100, 60), (70, 20), 15)
  center = framing.find_center(image > 0)
  frame = framing.frame_square((100, 60), (100, 60), 32, center)
  rows, columns = np.nonzero(framing.place(image, frame, fill=-1)[0] > 0)
  assert abs(rows.mean() - 15.5) <= 1 and abs(columns.mean() - 15.5) <= 1
  extent = framing.measure_extent(image > 0)
  assert extent == pytest.approx((29 / 100, 29 / 60))


def test_the_middle_of_nothing_is_the_middle():
  empty = np.zeros((2, 10, 20), bool)
  assert framing.find_center(empty) == (0.5, 0.5)
  assert framing.measure_extent(empty) == (0, 0)


@pytest.mark.parametrize('shape', [(30, 50), (64, 64), (7, 65), (128, 3)])
def test_whole_slices_come_back_to_the_bit(shape):
  slices = np.random.default_rng(0).uniform(-1, 1, (3, *shape))
  slices = slices.astype(np.float32)
  frame = framing.frame_whole(shape, shape, 16, least=48)
  canvas = framing.place(slices, frame, fill=-1)
  assert all(n % 16 == 0 and n >= 48 for n in canvas.shape[1:])
  np.testing.assert_array_equal(framing.restore(canvas, frame, fill=0), slices)


def test_resampling_and_back_keeps_a_smooth_picture_in_its_place():
  y, x = np.mgrid[:90, :70] / 10
  smooth = (np.sin(y) * np.cos(x))[None].astype(np.float32) * 0.9
  frame = framing.frame_whole((90, 70), (45, 50), 8)
  back = framing.restore(framing.place(smooth, frame, fill=0), frame, fill=0)
  inner = np.s_[:, 5:-5, 5:-5]
  np.testing.assert_allclose(back[inner], smooth[inner], atol=0.02)


def test_what_was_cropped_holds_the_fill():
  slices = np.zeros((1, 10, 10), np.float32)
  frame = framing.frame_square((10, 10), (10, 10), 4)
  back = framing.restore(np.ones((1, 4, 4)), frame, fill=-1)
  assert (back[0, 3:7, 3:7] == 1).all() and back.sum() == 16 - 84
  assert framing.place(slices, frame, fill=-1).shape == (1, 4, 4)


def test_a_picture_fits_with_its_longer_side():
  assert framing.resize_to_fit((100, 50), 64) == (64, 32)


def test_large_slices_lie_on_canvases_of_few_sizes():
  def sides(multiple, least):
    frames = (
      framing.frame_whole((n, 9), (n, 9), multiple, least=least)
      for n in range(1, 2 * least)
    )
    return [frame.canvas[0] for frame in frames]

  found = sides(4, 256)
  assert set(found) == set(range(256, 513, 32))
  assert all(0 <= side - n < 32 for n, side in enumerate(found, 1) if n > 256)
  assert set(sides(16, 48)) == {48, 64, 80, 96}
  assert set(sides(4, 30)) == {32, *range(32, 61, 4)}
