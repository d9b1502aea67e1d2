import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import transform

from cyclegan_jax.mri import registration
from cyclegan_jax.mri import volume as volume_lib


def make_contrasts(shape, seed=0):
  """One head in two contrasts of opposite polarity, with noise."""
  rng = np.random.default_rng(seed)
  tissue = ndimage.gaussian_filter(rng.normal(size=shape), 3)
  tissue = 0.6 + 0.15 * tissue / tissue.std()
  grid = np.meshgrid(*(np.linspace(-1.3, 1.3, n) for n in shape), indexing='ij')
  inside = ndimage.gaussian_filter(
    (sum(axis**2 for axis in grid) < 1).astype(float), 0.7
  )
  first, second = inside * tissue, inside * (1.1 - tissue).clip(0) ** 1.5
  noise = rng.normal(0, 0.01, (2, *shape))
  return first + noise[0], second + noise[1]


@pytest.mark.parametrize(
  'shift', [(0, 0, 0), (3, 0, 0), (0, -2.4, 0), (1, 0, 5), (-2, 4, -3)]
)
def test_a_known_shift_is_found_whatever_the_contrast(shift):
  first, second = make_contrasts((48, 56, 52))
  moved = ndimage.shift(second, shift, order=1)
  found = registration.estimate_offset(first, moved, (1.0, 1.0, 1.0))
  np.testing.assert_allclose(found, shift, atol=0.5)


@pytest.mark.parametrize(
  'angles,shift',
  [((0, 0, 0), (0, 0, 0)), ((5, 0, 0), (2, -3, 1)), ((-3, 4, 6), (0, 5, -4))],
)
def test_a_known_motion_is_found_and_taken_back(angles, shift):
  """Of a head on an oblique grid; the other contrast on a coarser one."""
  first, second = make_contrasts((48, 56, 52))
  here = make_grid((8, -5, 3), (1.0, 1.0, 1.0), (-30, 10, 5))
  fixed = volume_lib.Volume(first, here)
  there = here @ np.diag([2.0, 1, 1, 1])
  there[:3, 3] += here[:3, 0] / 2
  halves = second.reshape(24, 2, 56, 52).mean(axis=1)
  motion = make_grid(angles, (1, 1, 1), (0, 0, 0))
  middle = here[:3, :3] @ [23.5, 27.5, 25.5] + here[:3, 3]
  motion[:3, 3] = middle - motion[:3, :3] @ middle + shift
  moved = volume_lib.Volume(halves, motion @ there)
  resampled = registration.resample_like(moved, fixed)
  found = registration.estimate_motion(first, resampled, here)
  mask = first > 0.3
  missed = np.linalg.inv(motion) @ found
  assert registration.measure_motion(missed, fixed, mask) < 0.5
  expected = registration.measure_motion(motion, fixed, mask)
  told = registration.measure_motion(found, fixed, mask)
  assert told == pytest.approx(expected, abs=0.5)
  back = registration.move_back(moved, found)
  middle = [11.5, 27.5, 25.5, 1]
  np.testing.assert_allclose(back.affine @ middle, there @ middle, atol=0.5)


def test_a_motion_in_mm_is_measured_where_the_mask_is():
  fixed = volume_lib.Volume(np.zeros((3, 4, 5)), np.diag([1.0, 2, 3, 1]))
  motion = np.eye(4)
  motion[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # a quarter about z
  mask = np.zeros((3, 4, 5), bool)
  mask[2, 1, 4] = True  # at (2, 2, 12): to (-2, 2, 12)
  assert registration.measure_motion(motion, fixed, mask) == pytest.approx(4)


def test_of_a_thin_stack_no_motion_is_told():
  first, second = make_contrasts((20, 40, 40))
  np.testing.assert_array_equal(
    registration.estimate_motion(first, second, np.eye(4)), np.eye(4)
  )


def test_the_offset_is_in_mm_of_thick_slices():
  first, second = make_contrasts((24, 64, 64))
  moved = ndimage.shift(second, (0, 4, 0), order=1)
  found = registration.estimate_offset(first, moved, (3.0, 0.7, 0.7))
  np.testing.assert_allclose(found, (0, 2.8, 0), atol=0.5)


def test_of_a_single_slice_only_the_plane_is_looked_at():
  first, second = make_contrasts((20, 72, 72))
  moved = ndimage.shift(second[10:11], (0, 3, -2), order=1)
  found = registration.estimate_offset(first[10:11], moved, (1.0, 1.0, 1.0))
  assert found[0] == 0
  np.testing.assert_allclose(found[1:], (3, -2), atol=0.6)


def test_scans_without_anything_to_compare_are_refused():
  first, _ = make_contrasts((20, 24, 24))
  with pytest.raises(ValueError, match='constant'):
    registration.estimate_offset(first, np.zeros_like(first), (1.0, 1.0, 1.0))
  with pytest.raises(ValueError, match='shapes differ'):
    registration.estimate_offset(first, first[1:], (1.0, 1.0, 1.0))


def make_grid(angles, spacing, origin):
  affine = np.eye(4)
  turn = transform.Rotation.from_euler('xyz', angles, degrees=True)
  affine[:3, :3] = turn.as_matrix() * spacing
  affine[:3, 3] = origin
  return affine


def world(shape, affine):
  index = np.indices(shape).reshape(3, -1)
  points = affine[:3, :3] @ index + affine[:3, 3:]
  return points.reshape(3, *shape)


@pytest.mark.parametrize('spacing', [(1.0, 1.0, 1.0), (0.7, 1.5, 2.0)])
def test_a_ramp_is_resampled_exactly_between_oblique_grids(spacing):
  here = make_grid((10, 20, -15), (1, 1, 1), (0, 0, 0))
  there = make_grid((-5, 8, 30), spacing, (0, 0, 0))
  for affine, shape in ((here, (48, 48, 48)), (there, (9, 7, 5))):
    middle = (np.array(shape) - 1) / 2  # in the middle of the world
    affine[:3, 3] = -affine[:3, :3] @ middle
  slope = np.array([2.0, -1.0, 0.5]).reshape(3, 1, 1, 1)
  ramp = (slope * world((48, 48, 48), here)).sum(0)
  moving = volume_lib.Volume(ramp, here)
  fixed = volume_lib.Volume(np.zeros((9, 7, 5)), there)
  expected = (slope * world((9, 7, 5), there)).sum(0)
  found = registration.resample_like(moving, fixed)
  np.testing.assert_allclose(found, expected, atol=0.05)


def test_outside_of_a_scan_is_its_lowest_value():
  moving = volume_lib.Volume(np.full((4, 4, 4), 5.0), np.eye(4))
  moving.voxels[0, 0, 0] = -3
  affine = np.eye(4)
  affine[0, 3] = 100
  fixed = volume_lib.Volume(np.zeros((3, 3, 3)), affine)
  np.testing.assert_array_equal(registration.resample_like(moving, fixed), -3)


def test_the_same_scans_have_the_same_offset_to_the_bit():
  first, second = make_contrasts((40, 44, 48))
  found = [
    registration.estimate_offset(first, second, (1.0, 1.0, 1.0))
    for _ in range(2)
  ]
  np.testing.assert_array_equal(*found)


def test_a_scan_on_its_own_grid_is_unchanged():
  """Up to the last plane, although the affine's inverse is rounded."""
  affine = make_grid((3, -7, 11), (0.7, 0.7, 3), (-90.3, 20.7, -50.1))
  voxels = np.random.default_rng(0).integers(0, 900, (9, 8, 7), np.uint16)
  scan = volume_lib.Volume(voxels, affine)
  found = registration.resample_like(scan, scan)
  assert found.dtype == np.float32
  np.testing.assert_allclose(found, voxels, atol=1e-3)


def test_detail_finer_than_the_grid_is_no_stripes():
  """Every fourth of alternating slices is 0 without a blur, not the mean."""
  voxels = np.zeros((32, 4, 4))
  voxels[1::2] = 1
  moving = volume_lib.Volume(voxels, np.eye(4))
  fixed = volume_lib.Volume(np.zeros((8, 4, 4)), np.diag([4.0, 1, 1, 1]))
  found = registration.resample_like(moving, fixed)
  np.testing.assert_allclose(found[1:-1], 0.5, atol=0.02)
