"""A patient's two scans on one grid, whatever happened between them."""

import numpy as np
import pytest
from scipy import ndimage

from cyclegan_jax.evaluation import alignment
from cyclegan_jax.mri import volume as volume_lib


@pytest.fixture(scope='module')
def scans(make_head):
  """A head of 40 x 44 x 36 mm in two contrasts, on one grid."""
  head = make_head((40, 44, 36)) / 1000
  return tuple(
    volume_lib.Volume(each, np.eye(4))
    for each in (head, (head > 0) * 1.2 - head)
  )


def shift(scan, distance):
  """The same voxels elsewhere in the world, mm along the first axis."""
  affine = np.eye(4)
  affine[0, 3] = distance
  return volume_lib.Volume(scan.voxels, affine)


def test_scans_that_lie_on_each_other_are_left_alone(scans):
  fixed, other = scans
  found, notes = alignment.bring_onto(fixed, other)
  assert found is other and not notes


def test_a_head_that_moved_is_compared_where_it_was(scans):
  fixed, other = scans
  found, notes = alignment.bring_onto(fixed, shift(other, 5.0))
  resampled, moved = notes
  assert 'another grid' in resampled
  distance = float(moved.split('the head ')[1].split(' mm')[0])
  assert distance == pytest.approx(5, abs=0.3)
  missed = np.abs(found.voxels - other.voxels).mean()
  apart = np.abs(ndimage.shift(other.voxels, (5, 0, 0)) - other.voxels).mean()
  assert missed < apart / 10


def test_scans_of_different_places_are_not_forced_together(scans):
  fixed, other = scans
  _, notes = alignment.bring_onto(fixed, shift(other, 200.0))
  assert len(notes) == 1 and 'another grid' in notes[0]
