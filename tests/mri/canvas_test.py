"""On the canvas and back: what is whole returns to the bit."""

import numpy as np
import pytest

from cyclegan_jax import errors
from cyclegan_jax.mri import canvas
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import volume as volume_lib

_SETTINGS = framing.SliceSettings(size=32)


def make_volume(shape, spacing=(1.0, 1.0, 1.0), **fields):
  return volume_lib.Volume(
    np.zeros(shape, np.float32), np.diag([*spacing, 1.0]), **fields
  )


def cut(
  unit, settings=_SETTINGS, *, plane='axial', spacing=(1, 1, 1), **fields
):
  volume = make_volume(unit.shape, spacing)
  return canvas.cut(unit, volume, plane, settings, **dict(fill=-0.5) | fields)


def draw_unit(shape, seed=0):
  unit = np.random.default_rng(seed).uniform(-1, 1, shape)
  return unit.astype(np.float32)


@pytest.mark.parametrize('plane', volume_lib.PLANES)
@pytest.mark.parametrize('shape', [(20, 33, 9), (48, 12, 40)])
def test_whole_slices_come_back_to_the_bit(plane, shape):
  unit = draw_unit(shape)
  stack = cut(unit, plane=plane, multiple=16)
  laid = canvas.lay(stack)
  assert laid.dtype == np.float32 and len(laid) == len(stack.images)
  assert all(side % 16 == 0 and side >= 32 for side in laid.shape[1:])
  lifted = canvas.lift(laid, stack)
  np.testing.assert_array_equal(
    volume_lib.from_plane(lifted, np.eye(4), plane), unit
  )
  some = np.array([3, 1])
  np.testing.assert_array_equal(canvas.lay(stack, some), laid[some])


@pytest.mark.parametrize('multiple', [None, 8])
def test_padding_holds_the_fill_and_nothing_else_does(multiple):
  stack = cut(draw_unit((20, 24, 5)), multiple=multiple)  # 24 rows, 20 columns
  laid = canvas.lay(stack)
  assert laid.shape == (5, 32, 32)
  inside = np.zeros((32, 32), bool)
  inside[4:28, 6:26] = True
  assert (laid[:, ~inside] == -0.5).all()
  np.testing.assert_array_equal(
    laid[:, inside].reshape(5, 24, 20), stack.images
  )


def test_what_was_cropped_away_comes_back_as_fill():
  unit = draw_unit((40, 40, 3))
  stack = cut(unit, center=(0.5, 0.5))
  back = canvas.lift(canvas.lay(stack), stack)
  np.testing.assert_array_equal(
    back[:, 4:36, 4:36], stack.images[:, 4:36, 4:36]
  )
  outside = np.ones((40, 40), bool)
  outside[4:36, 4:36] = False
  assert (back[:, outside] == -0.5).all()


def test_a_head_off_centre_is_cropped_about_its_middle():
  """A block of 16 x 10 in a corner of slices of 80 x 60."""
  unit = np.full((80, 60, 4), -1, np.float32)
  unit[8:24, 45:55] = 0.5
  stack = cut(unit)
  rows, columns = np.nonzero(canvas.lay(stack)[1] > 0)
  assert (rows.min() + rows.max()) / 2 == pytest.approx(15.5, abs=0.5)
  assert (columns.min() + columns.max()) / 2 == pytest.approx(15.5, abs=0.5)
  assert len(set(rows)) == 10 and len(set(columns)) == 16
  # Seen as it is looked at: front and right are where indices are high and low.
  assert stack.center == pytest.approx((1 - 50 / 60, 1 - 16 / 80))
  elsewhere = cut(unit, center=(0.75, 0.5))
  assert elsewhere.center == (0.75, 0.5)
  assert (canvas.lay(elsewhere) < 0).all()


def test_slices_meet_the_networks_at_their_spacing_pictures_at_their_size():
  unit = draw_unit((40, 20, 2))
  stack = cut(unit, spacing=(0.5, 2, 1), center=(0.5, 0.5))
  assert stack.frame.resized == (40, 20)
  picture = make_volume(unit.shape, measured=False)
  stack = canvas.cut(unit, picture, 'axial', _SETTINGS, fill=-1)
  assert stack.frame.resized == (16, 32)  # longer side first made to fit
  assert np.abs(canvas.lay(stack)).max() <= 1  # bicubic would overshoot


@pytest.mark.parametrize(
  'shape,spacing,plane,message',
  [
    (
      (20, 4, 20),
      (1, 1, 1),
      'axial',
      'its axial slices are 4 x 20 voxels, too',
    ),
    ((20, 20, 4), (1, 1, 1), 'coronal', 'its coronal slices are 4 x 20'),
    ((20, 20, 4), (1, 1000, 1), 'axial', 'would be 20000 x 20 pixels .* spac'),
    ((20, 20, 4), (1e-6,) * 3, 'axial', 'would be 1 x 1 pixels .* spacing'),
  ],
)
def test_thin_and_giant_slices_are_refused(shape, spacing, plane, message):
  with pytest.raises(errors.UserError, match=message):
    cut(draw_unit(shape), plane=plane, spacing=spacing)


@pytest.mark.parametrize(
  'dtype,picture,white',
  [(np.uint8, True, 255), (np.uint16, True, 4000), (np.uint8, False, None)],
)
def test_pictures_of_whole_numbers_are_scaled_by_their_white(
  dtype, picture, white
):
  voxels = np.linspace(0, 200, 60).astype(dtype).reshape(3, 4, 5)
  if dtype == np.uint16:
    voxels[0, 0, 0] = 4000
  volume = volume_lib.Volume(voxels, np.eye(4))
  scaling = canvas.scale(volume, _SETTINGS, picture=picture)
  if white:
    assert scaling == intensity.scale_to_white(white)
  else:
    assert scaling.kind == 'percentile'
