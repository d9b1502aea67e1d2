"""Which way round a head is shown, against NumPy indexing written by hand."""

import itertools

import numpy as np
import pytest
from scipy.spatial import transform

from cyclegan_jax import errors
from cyclegan_jax.mri import volume


def test_the_radiological_convention():
  """Of a RAS array [x, y, z]: right is at the left, anterior at the top."""
  head = np.arange(2 * 3 * 4).reshape(2, 3, 4)
  axial = volume.to_plane(head, np.eye(4), 'axial')
  np.testing.assert_array_equal(axial[1], head[::-1, ::-1, 1].T)
  coronal = volume.to_plane(head, np.eye(4), 'coronal')
  np.testing.assert_array_equal(coronal[1], head[::-1, 1, ::-1].T)
  sagittal = volume.to_plane(head, np.eye(4), 'sagittal')
  np.testing.assert_array_equal(sagittal[1], head[1, ::-1, ::-1].T)


def orientations():
  for axes in itertools.permutations(range(3)):
    for signs in itertools.product((1, -1), repeat=3):
      yield axes, signs


@pytest.mark.parametrize('plane', volume.PLANES)
def test_every_orientation_of_a_head_gives_the_same_slices(plane):
  """All 48, and the inverse is exact."""
  head = np.random.default_rng(0).normal(size=(3, 4, 5))
  spacing = np.array([1.0, 2.0, 3.0])
  expected = volume.to_plane(head, np.diag([*spacing, 1]), plane)
  wanted = volume.plane_spacing(np.diag([*spacing, 1]), plane)
  for axes, signs in orientations():
    turned = head.transpose(axes)[tuple(slice(None, None, s) for s in signs)]
    affine = np.zeros((4, 4))
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
      affine[axis, column] = sign * spacing[axis]
    affine[3, 3] = 1
    slices = volume.to_plane(turned, affine, plane)
    np.testing.assert_array_equal(slices, expected)
    assert volume.plane_spacing(affine, plane) == pytest.approx(wanted)
    np.testing.assert_array_equal(
      volume.from_plane(slices, affine, plane), turned
    )


def test_an_oblique_grid_is_taken_along_its_nearest_axes():
  angle = np.deg2rad(20)
  affine = np.eye(4)
  affine[:2, :2] = [
    [np.cos(angle), -np.sin(angle)],
    [np.sin(angle), np.cos(angle)],
  ]
  head = np.random.default_rng(0).normal(size=(3, 4, 5))
  np.testing.assert_array_equal(
    volume.to_plane(head, affine, 'axial'),
    volume.to_plane(head, np.eye(4), 'axial'),
  )


def test_a_picture_lies_as_it_is_looked_at():
  slices = np.random.default_rng(0).normal(size=(2, 3, 4))
  np.testing.assert_array_equal(
    volume.to_plane(slices, volume.display_affine(), 'axial'), slices
  )


def test_one_volume_of_several_is_chosen_by_number():
  with pytest.raises(errors.UserError, match=r'x holds 6 volumes.*--volume=0'):
    volume.select_volume('x', (4, 4, 4, 3, 2), None)
  array = np.random.default_rng(0).normal(size=(4, 4, 4, 3, 2))
  chosen = array[volume.select_volume('x', array.shape, 4)]
  np.testing.assert_array_equal(chosen, array[..., 1, 1])
  for shape, index, message in [
    ((4, 4, 4, 3), 3, 'there is no 3'),
    ((4, 4), None, 'has 2 dimensions'),
    ((4, 0, 4), None, 'is empty'),
  ]:
    with pytest.raises(errors.UserError, match=message):
      volume.select_volume('x', shape, index)
  assert array[..., 0][volume.select_volume('x', (4, 4, 4, 1), None)].size


def test_a_description_fits_dicoms_64_characters():
  line = volume.Provenance('T1w', 'T2w', {}).description
  assert line == 'SYNTHETIC T2w from T1w, not for diagnosis'
  long = volume.Provenance('contrast ' * 9, 'T2w', {}).description
  assert len(long) <= 64 and 'not for diagnosis' in long


def test_axes_become_orthogonal_and_their_shear_is_told():
  """Against SciPy's rotations; a float32 affine is off by its rounding."""
  turn = transform.Rotation.from_euler('xyz', (20, -35, 70), True).as_matrix()
  spacing = np.array([0.7, 1.2, 3.0])
  affine = np.eye(4)
  affine[:3, :3] = np.float32(turn * spacing)
  affine[:3, 3] = 10, 20, 30
  lps, shear = volume.to_lps(affine)
  assert shear < 1e-6
  np.testing.assert_allclose(
    lps[:3, :3], (turn * spacing) * [[-1], [-1], [1]], atol=1e-6
  )
  directions = lps[:3, :3] / np.linalg.norm(lps[:3, :3], axis=0)
  np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-14)
  np.testing.assert_array_equal(lps[:3, 3], [-10, -20, 30])
  affine[0, 1] += 0.1
  assert volume.to_lps(affine)[1] > 0.01
