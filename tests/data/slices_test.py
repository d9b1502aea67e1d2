"""Scans become slices once: what the networks see, and the cache."""

import io
import os

import nibabel as nib
import numpy as np
from PIL import Image
import pytest

from cyclegan_jax import errors
from cyclegan_jax.data import slices
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import scans
from cyclegan_jax.mri.formats import dispatch

_SETTINGS = framing.SliceSettings(size=32)


def gradient(dtype, top, shape=(40, 40)):
  ramp = np.linspace(0, top, shape[0] * shape[1])
  return ramp.reshape(shape).round().astype(dtype)


def save(path, pixels):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels).save(path)
  return path


@pytest.fixture
def open_folder(tmp_path_factory):
  cache = tmp_path_factory.mktemp('cache')

  def open_(root, settings=_SETTINGS, **kwargs):
    found = scans.find_scans(root)
    return slices.open_slices(str(root), found, settings, cache=cache, **kwargs)

  return open_


def images(opened):
  return np.stack([opened.load(row) for row in range(len(opened))])


def test_a_picture_is_padded_to_a_square_and_not_squashed(
  tmp_path, open_folder
):
  """A disc in a wide picture stays a disc."""
  y, x = np.mgrid[:60, :100]
  disc = ((y - 30) ** 2 + (x - 50) ** 2 < 20**2) * np.uint8(255)
  save(tmp_path / 'x.png', disc)
  image = images(open_folder(tmp_path, _SETTINGS._replace(size=50)))[0]
  assert image.shape == (50, 50) and image.dtype == np.float32
  inside = image > 0
  height, width = inside.any(1).sum(), inside.any(0).sum()
  assert abs(int(height) - int(width)) <= 1
  np.testing.assert_allclose(inside.sum(), np.pi * 10**2, rtol=0.05)
  assert image.min() == -1 and image.max() == 1


def test_pictures_of_the_networks_size_are_not_resampled(tmp_path, open_folder):
  pixels = gradient(np.uint8, 255, (32, 32))
  save(tmp_path / 'x.png', pixels)
  image = images(open_folder(tmp_path))[0]
  np.testing.assert_allclose(image, pixels / 127.5 - 1, atol=1e-6)


def test_white_of_16_bits_is_the_folders_largest_value(tmp_path, open_folder):
  save(tmp_path / 'a.png', gradient(np.uint16, 1000))
  save(tmp_path / 'b.png', gradient(np.uint16, 4000))
  save(tmp_path / 'c.png', gradient(np.uint8, 100))
  opened = open_folder(tmp_path, _SETTINGS._replace(size=40))
  tops = images(opened).max(axis=(1, 2))
  np.testing.assert_allclose(tops, [-0.5, 1, 200 / 255 - 1], atol=1e-6)


def test_float_pictures_are_scaled_together(tmp_path, open_folder):
  pixels = gradient(np.float32, 100)
  save(tmp_path / 'a.tif', pixels)
  save(tmp_path / 'b.tif', pixels / 2)
  settings = _SETTINGS._replace(size=40, intensity='minmax')
  tops = images(open_folder(tmp_path, settings)).max(axis=(1, 2))
  np.testing.assert_allclose(tops, [1, 0], atol=1e-6)


def test_float_pictures_are_padded_with_their_background(tmp_path, open_folder):
  """Air at -1000, as in CT: what is added around is air, no tissue."""
  pixels = np.full((40, 20), -1000, np.float32)
  pixels[15:25, 5:15] = gradient(np.float32, 500, (10, 10))
  save(tmp_path / 'x.tif', pixels)
  opened = open_folder(tmp_path, _SETTINGS._replace(size=40))
  image = images(opened)[0]
  np.testing.assert_allclose(image[:, :10], image[0, 10], atol=1e-6)
  np.testing.assert_allclose(image[:, 30:], image[0, 10], atol=1e-6)
  assert opened.slices[0].head == pytest.approx(100 / 1600, abs=0.01)


def test_blank_slices_are_left_out_and_counted(tmp_path, open_folder):
  rng = np.random.default_rng(0)
  save(tmp_path / 'blank.png', rng.integers(0, 20, (32, 32), np.uint8))
  dot = np.zeros((32, 32), np.uint8)
  dot[:8, :8] = 200  # 6.25 %
  save(tmp_path / 'dot.png', dot)
  opened = open_folder(tmp_path)
  kept = slices.select(opened, min_foreground=0.05)
  assert [each.name for each in kept.slices] == ['dot'] and kept.blank == 1
  with pytest.raises(errors.UserError, match='none of its 2 slices.*7%'):
    slices.select(opened, min_foreground=0.07)


def test_noise_of_16_bits_is_judged_by_the_folders_white(tmp_path, open_folder):
  noise = np.random.default_rng(0).integers(0, 50, (32, 32), np.uint16)
  save(tmp_path / 'air.png', noise)
  save(tmp_path / 'head.png', gradient(np.uint16, 4000))
  kept = slices.select(open_folder(tmp_path), min_foreground=0.02)
  assert [each.name for each in kept.slices] == ['head'] and kept.blank == 1


def test_a_blank_array_is_left_out_like_a_blank_picture(tmp_path, open_folder):
  np.save(tmp_path / 'a.npy', gradient(np.int16, 900))
  np.save(tmp_path / 'b.npy', np.zeros((40, 40), np.int16))
  kept = slices.select(open_folder(tmp_path), min_foreground=0.02)
  assert len(kept) == 1 and kept.blank == 1


def test_a_file_that_cannot_be_read_is_named(tmp_path, open_folder):
  (tmp_path / 'x.nii').symlink_to(tmp_path / 'nowhere')
  with pytest.raises(errors.UserError, match=r'x\.nii'):
    open_folder(tmp_path)


def test_text_that_calls_itself_an_image_is_refused(tmp_path, open_folder):
  save(tmp_path / 'a.png', gradient(np.uint8, 255))
  (tmp_path / 'b.png').write_text('no image')
  with pytest.raises(errors.UserError, match=r'b\.png is not a PNG'):
    open_folder(tmp_path)


@pytest.mark.parametrize('count,accepted', [(101, True), (99, False)])
def test_one_percent_of_corrupt_pictures_is_skipped(
  tmp_path, open_folder, count, accepted
):
  content = io.BytesIO()
  Image.fromarray(gradient(np.uint8, 255)).save(content, format='PNG')
  for i in range(count):
    (tmp_path / f'{i:03d}.png').write_bytes(content.getvalue())
  (tmp_path / '007.png').write_bytes(content.getvalue()[:-90])
  warnings = []
  if accepted:
    opened = open_folder(tmp_path, warn=warnings.append)
    assert opened.corrupt == 1 and len(opened) == count - 1
    assert '007.png' in warnings[0] and len(warnings) == 1
  else:
    with pytest.raises(errors.UserError, match='1 of 99 .*007.png'):
      open_folder(tmp_path)


def test_volumes_become_the_slices_of_their_planes(
  tmp_path, open_folder, make_head, save_nifti
):
  head = make_head((20, 24, 16))
  save_nifti(tmp_path / 'anna' / 'T1.nii.gz', head)
  settings = _SETTINGS._replace(planes=('axial', 'coronal'), intensity='minmax')
  opened = open_folder(tmp_path, settings)
  assert len(opened) == 16 + 24 and opened.patients == {'anna'}
  assert opened.slices[0].name == 'anna/T1 axial 000'
  image = images(opened)[8]  # [32, 32], the head in the middle
  expected = head[::-1, ::-1, 8].T * 2 / head.max() - 1  # radiological
  np.testing.assert_allclose(image[4:28, 6:26], expected, atol=1e-5)
  np.testing.assert_allclose(image[:4], -1, atol=1e-6)
  kept = slices.select(opened, min_foreground=0.0, slice_range=(0.5, 1.0))
  assert len(kept) == 8 + 12


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
  tmp_path, open_folder, make_head, save_nifti, plane
):
  head = write_variants(tmp_path, make_head, save_nifti)
  dicom = dispatch.load('dicom_writer')
  (scan,) = scans.find_scans(tmp_path / 'ras')
  like = dispatch.read_scan(scan)
  provenance = dispatch.volume_lib.Provenance('T1w', 'T1w', {})
  dicom.write_series(tmp_path / 'dicom', head, like, provenance)
  settings = _SETTINGS._replace(planes=(plane,))
  expected = images(open_folder(tmp_path / 'ras', settings))
  for name in ('lps', 'turned', 'dicom'):
    same = images(open_folder(tmp_path / name, settings))
    # DICOM has 16 bits for the range of the head.
    np.testing.assert_allclose(same, expected, atol=1e-4, err_msg=name)


def test_fine_and_coarse_scans_of_a_head_look_alike(
  tmp_path, open_folder, make_head, save_nifti
):
  head = make_head((24, 28, 4))
  fine = head.repeat(2, 0).repeat(2, 1)
  save_nifti(tmp_path / 'one' / 'x.nii', head)
  half = np.diag([0.5, 0.5, 1, 1])
  save_nifti(tmp_path / 'half' / 'x.nii', fine, half)
  one, half = (images(open_folder(tmp_path / n)) for n in ('one', 'half'))
  inside = one > -0.5
  assert np.abs(one - half)[inside].mean() < 0.05


def test_a_head_that_does_not_fit_is_told(
  tmp_path, open_folder, make_head, save_nifti
):
  save_nifti(tmp_path / 'x.nii', make_head((20, 80, 8)))
  notes = []
  open_folder(tmp_path, warn=notes.append)
  assert len(notes) == 1 and 'the head is ' in notes[0]
  assert 'the networks see 32 mm' in notes[0] and 'data.spacing' in notes[0]


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
  tmp_path, open_folder, save_nifti, voxels, message
):
  save_nifti(tmp_path / 'x.nii', voxels)
  with pytest.raises(errors.UserError, match=message):
    open_folder(tmp_path)


def test_a_volume_of_two_slices_can_be_used(tmp_path, open_folder, save_nifti):
  voxels = np.random.default_rng(0).uniform(0, 9, (20, 20, 2))
  save_nifti(tmp_path / 'x.nii', voxels)
  assert len(open_folder(tmp_path)) == 2


@pytest.fixture
def decoded(monkeypatch):
  """Names of the scans that are read from now on."""
  names = []
  read = dispatch.read_scan

  def note(scan, **kwargs):
    names.append(scan.name)
    return read(scan, **kwargs)

  monkeypatch.setattr(dispatch, 'read_scan', note)
  return names


def test_scans_are_decoded_once_and_again_when_they_change(
  tmp_path, open_folder, make_head, save_nifti, decoded
):
  for name in ('a', 'b'):
    save_nifti(tmp_path / f'{name}.nii', make_head(seed=ord(name)))
  first = open_folder(tmp_path)
  assert decoded == ['a', 'b']
  again = open_folder(tmp_path)
  assert decoded == ['a', 'b'] and again == first
  os.utime(tmp_path / 'a.nii')  # touched, not changed
  old = (tmp_path / 'b.nii').stat()
  open_folder(tmp_path)
  assert decoded == ['a', 'b']
  save_nifti(tmp_path / 'a.nii', make_head(seed=5))
  changed = open_folder(tmp_path)
  assert decoded == ['a', 'b', 'a']
  assert changed.fingerprint() != first.fingerprint()
  assert not np.array_equal(changed.load(8), first.load(8))
  open_folder(tmp_path, _SETTINGS._replace(spacing=2.0))
  assert decoded == ['a', 'b', 'a', 'a', 'b']
  save_nifti(tmp_path / 'b.nii', make_head(seed=6))
  os.utime(tmp_path / 'b.nii', ns=(old.st_atime_ns, old.st_mtime_ns))
  open_folder(tmp_path)
  assert decoded == ['a', 'b', 'a', 'a', 'b', 'b']


def test_the_fingerprint_follows_the_slices_not_the_folder(
  tmp_path, open_folder
):
  for place in ('here', 'there'):
    save(tmp_path / place / 'a.png', gradient(np.uint8, 255))
  here, there = (
    open_folder(tmp_path / place).fingerprint() for place in ('here', 'there')
  )
  assert here == there
  save(tmp_path / 'there' / 'b.png', gradient(np.uint8, 255))
  assert open_folder(tmp_path / 'there').fingerprint() != here


def test_a_domain_knows_what_is_typical_of_it(
  tmp_path, open_folder, make_head, save_nifti
):
  for gain in (1, 2, 5):
    save_nifti(tmp_path / f'p{gain}.nii', gain * make_head())
  opened = open_folder(tmp_path)
  (middle,) = (
    known.intensities.scaling
    for name, known in opened.scans.items()
    if name == 'p2'
  )
  typical = opened.intensities()
  assert typical.scaling.intensities == pytest.approx(middle.intensities)
  quantiles = list(typical.quantiles)
  assert len(quantiles) == 101 and quantiles == sorted(quantiles)
  assert -1 < quantiles[0] < quantiles[-1] <= 1


def test_a_volume_of_a_four_dimensional_file_is_chosen(tmp_path, open_folder):
  voxels = np.random.default_rng(0).uniform(0, 9, (20, 20, 4, 2))
  nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / 'x.nii')
  with pytest.raises(errors.UserError, match='x.nii holds 2 volumes'):
    open_folder(tmp_path)
  assert len(open_folder(tmp_path, _SETTINGS._replace(index=1))) == 4
