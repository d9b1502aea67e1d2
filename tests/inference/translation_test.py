"""With the identity for a generator, a scan comes back as it was."""

import numpy as np
import pytest
from scipy.spatial import transform

from cyclegan_jax import errors
from cyclegan_jax.inference import translation
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import volume as volume_lib

_SETTINGS = framing.SliceSettings(size=32)


def identity(images):
  return images


def random_affine(rng, spacing):
  """Any of the 48 orientations, turned by up to 30 degrees."""
  axes = rng.permutation(3)
  affine = np.eye(4)
  affine[:3, :3] = np.eye(3)[:, axes] * rng.choice([-1, 1], 3)
  turn = transform.Rotation.from_euler('xyz', rng.uniform(-30, 30, 3), True)
  affine[:3, :3] = turn.as_matrix() @ affine[:3, :3] * spacing
  affine[:3, 3] = rng.uniform(-100, 100, 3)
  return affine


@pytest.mark.parametrize('seed', range(12))
@pytest.mark.parametrize('kind', ['percentile', 'zscore', 'minmax'])
def test_the_identity_gives_every_voxel_back(make_head, seed, kind):
  """Random shapes, orientations, signed and whole numbers, of 1 mm."""
  rng = np.random.default_rng(seed)
  shape = tuple(rng.integers(9, 40, 3))
  voxels = make_head(shape, seed) + rng.normal(0, 3, shape)
  voxels = (voxels - 50).astype(rng.choice([np.float32, np.int16]))
  volume = volume_lib.Volume(voxels, random_affine(rng, (1, 1, 1)))
  back = translation.translate_volume(
    identity,
    volume,
    batch_size=int(rng.integers(1, 5)),
    settings=_SETTINGS._replace(
      intensity=kind, planes=(list(volume_lib.PLANES)[seed % 3],)
    ),
    multiple=16,
  )
  assert back.voxels.shape == shape and back.affine is volume.affine
  np.testing.assert_allclose(
    back.voxels, voxels, atol=1e-4 * float(np.ptp(voxels))
  )


@pytest.mark.parametrize('seed', range(6))
def test_resampling_to_the_networks_scale_is_undone_in_place(make_head, seed):
  """Blurred by it, but not shifted: the head's centre of mass stays."""
  rng = np.random.default_rng(seed)
  head = make_head((36, 40, 20), seed)
  spacing = rng.uniform(0.6, 1.5, 3)
  volume = volume_lib.Volume(head, random_affine(rng, spacing))
  back = translation.translate_volume(
    identity, volume, batch_size=4, settings=_SETTINGS, multiple=8
  )
  assert back.voxels.shape == head.shape
  assert np.corrcoef(back.voxels.ravel(), head.ravel())[0, 1] > 0.97
  for axis in range(3):
    index = np.arange(head.shape[axis])
    sums = [v.sum(axis=tuple({0, 1, 2} - {axis})) for v in (head, back.voxels)]
    before, after = ((index * each).sum() / each.sum() for each in sums)
    assert abs(before - after) < 0.1


def test_the_generator_sees_padded_batches_of_one_shape(make_head):
  shapes = set()

  def note(images):
    shapes.add(images.shape)
    assert images.dtype == np.float32 and np.abs(images).max() <= 1
    return images

  volume = volume_lib.Volume(make_head((20, 45, 11)), np.eye(4))
  translation.translate_volume(
    note, volume, batch_size=4, settings=_SETTINGS, multiple=16
  )
  assert shapes == {(4, 48, 32, 1)}


def test_blank_slices_are_not_shown_to_the_networks(make_head):
  """They would make up a head where there is none."""
  head = make_head((24, 24, 10))
  stack = np.concatenate([np.zeros((24, 24, 5)), head], axis=2)
  seen = []

  def brighten(images):
    seen.append(images)
    return np.full_like(images, 0.5)

  volume = volume_lib.Volume(stack, np.eye(4))
  scaling = intensity.fit_scaling(stack)
  unit = translation.translate_units(
    brighten, volume, scaling, batch_size=1, settings=_SETTINGS, multiple=1
  )
  assert (unit[..., :5] < -0.9).all()
  assert len(seen) < 11 and (unit[..., 10] == 0.5).all()


def test_planes_are_averaged(make_head):
  volume = volume_lib.Volume(make_head((24, 26, 28)), np.eye(4))
  levels = iter(range(1000))

  def constant(images):  # the plane is told from the shape of its slices
    level = {26: 0.0, 28: 0.3}[images.shape[1]]
    next(levels)
    return np.full_like(images, level)

  scaling = intensity.fit_scaling(volume.voxels)
  settings = framing.SliceSettings(
    size=8, planes=('axial', 'coronal', 'sagittal')
  )
  unit = translation.translate_units(
    constant, volume, scaling, batch_size=4, settings=settings, multiple=1
  )
  np.testing.assert_allclose(unit[12, 13, 14], 0.2, atol=1e-6)


def test_a_result_has_the_units_of_the_target(make_head):
  volume = volume_lib.Volume(make_head(), np.eye(4))
  target = intensity.Scaling('minmax', (0.0, 50.0), (-1.0, 1.0), 0.0)
  back = translation.translate_volume(
    lambda images: np.full_like(images, 0.2),
    volume,
    batch_size=4,
    settings=_SETTINGS,
    target=target,
  )
  assert back.voxels[10, 12, 8] == pytest.approx(30)


def test_slices_too_thin_for_a_network_are_refused(make_head):
  volume = volume_lib.Volume(make_head((20, 4, 20)), np.eye(4))
  with pytest.raises(errors.UserError, match='axial slices are 4 x 20'):
    translation.translate_volume(
      identity, volume, batch_size=1, settings=_SETTINGS
    )
