"""Scans become slices once: what the networks see."""

import nibabel as nib
import numpy as np
from PIL import Image
import pytest

from cyclegan_jax import errors
from cyclegan_jax.data import decode
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dicom_writer
from cyclegan_jax.mri.formats import dispatch

_SETTINGS = framing.SliceSettings(size=32)


def gradient(dtype, top, shape=(40, 40)):
  ramp = np.linspace(0, top, shape[0] * shape[1])
  return ramp.reshape(shape).round().astype(dtype)


def save(path, pixels):
  Image.fromarray(pixels).save(path)


@pytest.fixture
def decode_folder(tmp_path_factory):
  """Decodes a folder: its images [N, size, size], and what is known of it."""
  path = tmp_path_factory.mktemp('decoded') / 'x.f32'

  def decode_(root, settings=_SETTINGS, **kwargs):
    fields = dict(centers=None, report=lambda done: None) | kwargs
    found = scans.find_scans(root)
    known = decode.decode(path, found, settings, **fields)
    return np.fromfile(path, np.float32).reshape(
      len(known.slices), settings.size, settings.size
    ), known

  return decode_


def test_a_picture_is_padded_to_a_square_and_not_squashed(
  tmp_path, decode_folder
):
  """A disc in a wide picture stays a disc."""
  y, x = np.mgrid[:60, :100]
  disc = ((y - 30) ** 2 + (x - 50) ** 2 < 20**2) * np.uint8(255)
  save(tmp_path / 'x.png', disc)
  image = decode_folder(tmp_path, _SETTINGS._replace(size=50))[0][0]
  assert image.shape == (50, 50) and image.dtype == np.float32
  inside = image > 0
  height, width = inside.any(1).sum(), inside.any(0).sum()
  assert abs(int(height) - int(width)) <= 1
  np.testing.assert_allclose(inside.sum(), np.pi * 10**2, rtol=0.05)
  assert image.min() == -1 and image.max() == 1


def test_pictures_of_the_networks_size_are_not_resampled(
  tmp_path, decode_folder
):
  pixels = gradient(np.uint8, 255, (32, 32))
  save(tmp_path / 'x.png', pixels)
  image = decode_folder(tmp_path)[0][0]
  np.testing.assert_allclose(image, pixels / 127.5 - 1, atol=1e-6)


def test_white_of_16_bits_is_the_folders_largest_value(tmp_path, decode_folder):
  save(tmp_path / 'a.png', gradient(np.uint16, 1000))
  save(tmp_path / 'b.png', gradient(np.uint16, 4000))
  save(tmp_path / 'c.png', gradient(np.uint8, 100))
  images, _ = decode_folder(tmp_path, _SETTINGS._replace(size=40))
  tops = images.max(axis=(1, 2))
  np.testing.assert_allclose(tops, [-0.5, 1, 200 / 255 - 1], atol=1e-6)


def test_float_pictures_are_scaled_together(tmp_path, decode_folder):
  pixels = gradient(np.float32, 100)
  save(tmp_path / 'a.tif', pixels)
  save(tmp_path / 'b.tif', pixels / 2)
  settings = _SETTINGS._replace(size=40, intensity='minmax')
  tops = decode_folder(tmp_path, settings)[0].max(axis=(1, 2))
  np.testing.assert_allclose(tops, [1, 0], atol=1e-6)


def test_float_pictures_are_padded_with_their_background(
  tmp_path, decode_folder
):
  """Air at -1000, as in CT: what is added around is air, no tissue."""
  pixels = np.full((40, 20), -1000, np.float32)
  pixels[15:25, 5:15] = gradient(np.float32, 500, (10, 10))
  save(tmp_path / 'x.tif', pixels)
  (image,), known = decode_folder(tmp_path, _SETTINGS._replace(size=40))
  np.testing.assert_allclose(image[:, :10], image[0, 10], atol=1e-6)
  np.testing.assert_allclose(image[:, 30:], image[0, 10], atol=1e-6)
  assert known.slices[0].head == pytest.approx(100 / 1600, abs=0.01)


def test_volumes_become_the_slices_of_their_planes(
  tmp_path, decode_folder, make_head, save_nifti
):
  head = make_head((20, 24, 16))
  save_nifti(tmp_path / 'anna' / 'T1.nii.gz', head)
  settings = _SETTINGS._replace(planes=('axial', 'coronal'), intensity='minmax')
  images, known = decode_folder(tmp_path, settings)
  assert len(images) == 16 + 24
  assert {each.patient for each in known.slices} == {'anna'}
  first, last = known.slices[0], known.slices[-1]
  assert (first.name, first.plane) == ('anna/T1 axial 000', 'axial')
  assert (last.name, last.plane) == ('anna/T1 coronal 023', 'coronal')
  assert first.position == 0.5 / 16 and last.position == 23.5 / 24
  image = images[8]  # [32, 32], the head in the middle
  expected = head[::-1, ::-1, 8].T * 2 / head.max() - 1  # radiological
  np.testing.assert_allclose(image[4:28, 6:26], expected, atol=1e-5)
  np.testing.assert_allclose(image[:4], -1, atol=1e-6)
  shown = known.slices[8].head * 32**2  # pixels
  assert shown == pytest.approx((head[:, :, 8] > 0).sum(), rel=0.05)
  assert known.centers == {'axial': (0.5, 0.5), 'coronal': (0.5, 0.5)}
  assert known.grid[:3] == (20, 24, 16)


def write_variants(root, make_head, save_nifti):
  """One head in three orientations, and finely and coarsely sampled."""
  head = make_head((24, 28, 20))
  save_nifti(root / 'ras' / 'x.nii', head)
  save_nifti(
    root / 'lps' / 'x.nii', head[::-1, ::-1], np.diag([-1.0, -1, 1, 1])
  )
  turned = np.zeros((4, 4))
  turned[0, 2] = turned[1, 0] = turned[2, 1] = turned[3, 3] = 1
  save_nifti(root / 'turned' / 'x.nii', head.transpose(1, 2, 0), turned)
  return head


@pytest.mark.parametrize('plane', ['axial', 'coronal', 'sagittal'])
def test_the_same_head_gives_the_same_input_however_it_is_stored(
  tmp_path, decode_folder, make_head, save_nifti, plane
):
  head = write_variants(tmp_path, make_head, save_nifti)
  (scan,) = scans.find_scans(tmp_path / 'ras')
  like = dispatch.read_scan(scan)
  provenance = volume_lib.Provenance('T1w', 'T1w', {})
  dicom_writer.write_series(tmp_path / 'dicom', head, like, provenance)
  settings = _SETTINGS._replace(planes=(plane,))
  expected, _ = decode_folder(tmp_path / 'ras', settings)
  for name in ('lps', 'turned', 'dicom'):
    same, _ = decode_folder(tmp_path / name, settings)
    # DICOM has 16 bits for the range of the head.
    np.testing.assert_allclose(same, expected, atol=1e-4, err_msg=name)


def test_fine_and_coarse_scans_of_a_head_look_alike(
  tmp_path, decode_folder, make_head, save_nifti
):
  head = make_head((24, 28, 4))
  fine = head.repeat(2, 0).repeat(2, 1)
  save_nifti(tmp_path / 'one' / 'x.nii', head)
  half = np.diag([0.5, 0.5, 1, 1])
  save_nifti(tmp_path / 'half' / 'x.nii', fine, half)
  one, half = (decode_folder(tmp_path / n)[0] for n in ('one', 'half'))
  inside = one > -0.5
  assert np.abs(one - half)[inside].mean() < 0.05


def test_a_head_that_does_not_fit_is_told(
  tmp_path, decode_folder, make_head, save_nifti
):
  save_nifti(tmp_path / 'x.nii', make_head((20, 80, 8)))
  _, known = decode_folder(tmp_path)
  (note,) = known.notes
  assert 'x.nii: the head is ' in note and 'in axial slices' in note
  assert 'the networks see 32 mm' in note and 'data.spacing' in note


@pytest.mark.parametrize(
  'voxels,message',
  [
    (np.zeros((20, 20, 20), np.int16), r'x\.nii: every voxel is 0'),
    (
      np.eye(40).reshape(20, 2, 40),
      r'x\.nii: its axial slices are 2 x 20 voxels',
    ),
  ],
)
def test_volumes_that_cannot_be_used_are_named(
  tmp_path, decode_folder, save_nifti, voxels, message
):
  save_nifti(tmp_path / 'x.nii', voxels)
  with pytest.raises(errors.UserError, match=message):
    decode_folder(tmp_path)


def test_a_volume_of_two_slices_can_be_used(
  tmp_path, decode_folder, save_nifti
):
  voxels = np.random.default_rng(0).uniform(0, 9, (20, 20, 2))
  save_nifti(tmp_path / 'x.nii', voxels)
  assert len(decode_folder(tmp_path)[0]) == 2


def test_a_volume_of_a_four_dimensional_file_is_chosen(tmp_path, decode_folder):
  voxels = np.random.default_rng(0).uniform(0, 9, (20, 20, 4, 2))
  nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / 'x.nii')
  with pytest.raises(errors.UserError, match='x.nii holds 2 volumes'):
    decode_folder(tmp_path)
  settings = _SETTINGS._replace(index=1, size=20)
  middle = {'axial': (0.5, 0.5)}
  images, _ = decode_folder(tmp_path, settings, centers=middle)
  second = voxels[::-1, ::-1, 2, 1].T
  assert np.corrcoef(images[2].ravel(), second.ravel())[0, 1] > 0.99


def test_a_volume_is_centred_about_the_place_it_is_told(
  tmp_path, decode_folder, save_nifti
):
  """As the second scan of a pair: its head lies 6 pixels from the first's."""
  head = np.zeros((40, 40, 3))
  head[6:26, 8:28] = np.random.default_rng(0).uniform(50, 90, (20, 20, 3))
  save_nifti(tmp_path / 'x.nii', head)
  images, known = decode_folder(tmp_path)
  assert known.centers == {'axial': (1 - 18 / 40, 1 - 16 / 40)}
  center = (known.centers['axial'][0] - 6 / 40, known.centers['axial'][1])
  moved, known = decode_folder(tmp_path, centers={'axial': center})
  assert known.centers == {'axial': center}
  np.testing.assert_allclose(moved[:, 6:], images[:, :-6], atol=1e-6)


def test_a_blank_array_is_counted_and_has_no_slices(tmp_path, decode_folder):
  np.save(tmp_path / 'x.npy', np.zeros((40, 40), np.int16))
  images, known = decode_folder(tmp_path)
  assert len(images) == 0 and known.blank == 1 and known.intensities is None


def test_broken_pictures_are_noted_and_leave_no_gap(tmp_path, decode_folder):
  for number in range(3):
    save(
      tmp_path / f'anna_{number}.png', np.full((32, 32), 50 * number + 9, 'u1')
    )
  middle = tmp_path / 'anna_1.png'
  middle.write_bytes(middle.read_bytes()[:-30])
  counts = []
  images, known = decode_folder(tmp_path, report=counts.append)
  assert [each.name for each in known.slices] == ['anna_0', 'anna_2']
  np.testing.assert_allclose(images[:, 0, 0], [9 / 127.5 - 1, 109 / 127.5 - 1])
  assert known.corrupt == (str(middle),) and 'anna_1.png' in known.notes[0]
  assert counts == [0, 1, 2] and known.intensities.pictures


def test_pages_of_a_picture_are_slices_of_their_own(tmp_path, decode_folder):
  first, *rest = (
    Image.fromarray(np.full((32, 32), value, 'u1')) for value in (10, 20, 30)
  )
  first.save(tmp_path / 'x.tif', save_all=True, append_images=rest)
  images, known = decode_folder(tmp_path)
  assert [each.name for each in known.slices] == ['x 000', 'x 001', 'x 002']
  levels = (images[:, 5, 5] + 1) * 127.5
  np.testing.assert_allclose(levels, [10, 20, 30], atol=1e-4)
