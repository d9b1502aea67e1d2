import io

import numpy as np
from PIL import Image
import pytest

from cyclegan_jax import errors
from cyclegan_jax.mri import png
from cyclegan_jax.mri import slices


def gradient(dtype, top, shape=(40, 40)):
  ramp = np.linspace(0, top, shape[0] * shape[1])
  return ramp.reshape(shape).round().astype(dtype)


def save(path, pixels, **kwargs):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels).save(path, **kwargs)
  return path


def truncate(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.TIFF'])
@pytest.mark.parametrize('dtype,top', [(np.uint8, 255), (np.uint16, 51234)])
def test_gray_is_read_without_loss(tmp_path, suffix, dtype, top):
  pixels = gradient(dtype, top)
  path = save(tmp_path / f'x{suffix}', pixels)
  read = png.read_image(path)
  assert read.dtype == dtype
  np.testing.assert_array_equal(read, pixels)


def test_jpeg_is_read_nearly_without_loss(tmp_path):
  pixels = gradient(np.uint8, 255)
  path = save(tmp_path / 'x.jpeg', pixels, quality=95)
  np.testing.assert_allclose(png.read_image(path), pixels, atol=8)


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P'])
def test_colour_becomes_luminance(tmp_path, mode):
  """ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B."""
  image = Image.new('RGB', (4, 4), (200, 100, 50)).convert(mode)
  image.save(tmp_path / 'x.png')
  expected = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
  tolerance = 1 if mode != 'P' else 26  # a palette's colours are coarse
  np.testing.assert_allclose(
    png.read_image(tmp_path / 'x.png'), expected, atol=tolerance
  )


def test_a_float_image_and_several_pages_are_refused_by_name(tmp_path):
  path = save(tmp_path / 'x.tif', np.ones((4, 4), np.float32))
  with pytest.raises(errors.UserError, match='x.tif is a float image'):
    png.read_image(path)
  page = Image.new('L', (4, 4))
  page.save(tmp_path / 'y.tif', save_all=True, append_images=[page, page])
  with pytest.raises(errors.UserError, match='y.tif holds 3 pictures'):
    png.read_image(tmp_path / 'y.tif')


def test_a_slice_is_padded_to_a_square_and_not_squashed(tmp_path):
  """A disc in a wide picture stays a disc."""
  y, x = np.mgrid[:60, :100]
  disc = ((y - 30) ** 2 + (x - 50) ** 2 < 20**2) * np.uint8(255)
  save(tmp_path / 'x.png', disc)
  folder = slices.scan(tmp_path, min_foreground=0)
  image = slices.load_slice(folder, 'x.png', size=50)
  assert image.shape == (50, 50) and image.dtype == np.float32
  inside = image > 0
  height, width = inside.any(1).sum(), inside.any(0).sum()
  assert abs(int(height) - int(width)) <= 1
  np.testing.assert_allclose(inside.sum(), np.pi * 10**2, rtol=0.05)
  assert image.min() == -1 and image.max() == 1


def test_the_size_of_the_network_is_met_without_resampling(tmp_path):
  pixels = gradient(np.uint8, 255, (32, 32))
  save(tmp_path / 'x.png', pixels)
  folder = slices.scan(tmp_path, min_foreground=0)
  image = slices.load_slice(folder, 'x.png', size=32)
  np.testing.assert_allclose(image, pixels / 127.5 - 1, atol=1e-6)


def test_white_of_16_bit_slices_is_the_folders_largest_value(tmp_path):
  save(tmp_path / 'a.png', gradient(np.uint16, 1000))
  save(tmp_path / 'b.png', gradient(np.uint16, 4000))
  folder = slices.scan(tmp_path, min_foreground=0)
  assert folder.white == 4000
  image = slices.load_slice(folder, 'a.png', size=40)
  np.testing.assert_allclose(image.max(), 2 * 1000 / 4000 - 1, atol=1e-6)


def test_blank_slices_are_left_out_and_counted(tmp_path):
  rng = np.random.default_rng(0)
  save(tmp_path / 'blank.png', rng.integers(0, 20, (20, 20), np.uint8))
  dot = np.zeros((20, 20), np.uint8)
  dot[:4, :5] = 200  # 5 %
  save(tmp_path / 'dot.png', dot)
  folder = slices.scan(tmp_path, min_foreground=0.05)
  assert folder.names == ('dot.png',) and folder.blank == 1
  with pytest.raises(errors.UserError, match='none of its 2 slices.*6%'):
    slices.scan(tmp_path, min_foreground=0.06)


def test_noise_of_a_16_bit_slice_is_judged_by_the_folders_white(tmp_path):
  noise = np.random.default_rng(0).integers(0, 50, (40, 40), np.uint16)
  save(tmp_path / 'air.png', noise)
  save(tmp_path / 'head.png', gradient(np.uint16, 4000))
  folder = slices.scan(tmp_path, min_foreground=0.02)
  assert folder.names == ('head.png',) and folder.blank == 1


def test_subfolders_are_searched_and_system_files_passed_over(tmp_path):
  for name in ('anna/t1_001.png', 'anna/t1_002.png', 'bert/x.png'):
    save(tmp_path / name, gradient(np.uint8, 255))
  (tmp_path / '.DS_Store').write_bytes(b'x')
  (tmp_path / 'anna' / 'Thumbs.db').write_bytes(b'x')
  folder = slices.scan(tmp_path, min_foreground=0)
  assert len(folder.names) == 3
  assert folder.patients == {'anna', 'bert'}


@pytest.mark.parametrize(
  'name,patient',
  [
    ('patient07_z036.png', 'patient07'),
    ('sub-12_T1w_slice-004.png', 'sub-12_T1w'),
    ('anna/t1_004.png', 'anna'),
    ('017.png', '017'),
  ],
)
def test_patients_are_told_from_names(name, patient):
  assert slices.patient_of(name) == patient


def test_folders_that_cannot_be_used_are_named(tmp_path):
  with pytest.raises(errors.UserError, match='nowhere does not exist'):
    slices.list_images(tmp_path / 'nowhere')
  with pytest.raises(errors.UserError, match=f'{tmp_path} is empty'):
    slices.list_images(tmp_path)
  (tmp_path / 'notes.txt').write_text('no image')
  with pytest.raises(errors.UserError, match=r'notes.txt is not a PNG'):
    slices.list_images(tmp_path)
  with pytest.raises(errors.UserError, match='notes.txt is not a folder'):
    slices.list_images(tmp_path / 'notes.txt')


def test_text_that_calls_itself_an_image_is_refused(tmp_path):
  save(tmp_path / 'a.png', gradient(np.uint8, 255))
  (tmp_path / 'b.png').write_text('no image')
  with pytest.raises(errors.UserError, match=r'b\.png is not a PNG'):
    slices.scan(tmp_path, min_foreground=0)


@pytest.mark.parametrize('count,accepted', [(101, True), (99, False)])
def test_one_percent_of_corrupt_files_is_skipped(tmp_path, count, accepted):
  content = io.BytesIO()
  Image.fromarray(gradient(np.uint8, 255)).save(content, format='PNG')
  for i in range(count):
    (tmp_path / f'{i:03d}.png').write_bytes(content.getvalue())
  truncate(tmp_path / '007.png')
  warnings = []
  if accepted:
    folder = slices.scan(tmp_path, min_foreground=0, warn=warnings.append)
    assert folder.corrupt == 1 and len(folder.names) == count - 1
    assert '007.png' in warnings[0] and len(warnings) == 1
  else:
    with pytest.raises(errors.UserError, match='1 of 99 .*007.png'):
      slices.scan(tmp_path, min_foreground=0)


def test_the_fingerprint_follows_the_slices_not_the_folder(tmp_path):
  for place in ('here', 'there'):
    save(tmp_path / place / 'a.png', gradient(np.uint8, 255))
  here, there = (
    slices.scan(tmp_path / place, min_foreground=0).fingerprint()
    for place in ('here', 'there')
  )
  assert here == there
  save(tmp_path / 'there' / 'b.png', gradient(np.uint8, 255))
  more = slices.scan(tmp_path / 'there', min_foreground=0)
  assert more.fingerprint() != here
