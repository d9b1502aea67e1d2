import struct
import zlib

import numpy as np
from PIL import Image
import pytest

from cyclegan_jax import errors
from cyclegan_jax.mri import volume
from cyclegan_jax.mri.formats import picture

_PROVENANCE = volume.Provenance('T1w', 'T2w', {})


def gradient(dtype, top, shape=(40, 30)):
  ramp = np.linspace(0, top, shape[0] * shape[1]).reshape(shape)
  return ramp.round().astype(dtype) if top > 1 else ramp.astype(dtype)


def save(path, pixels, **kwargs):
  Image.fromarray(pixels).save(path, **kwargs)
  return path


@pytest.mark.parametrize(
  'suffix,dtype,top',
  [
    ('.png', np.uint8, 255),
    ('.png', np.uint16, 51234),
    ('.TIFF', np.uint8, 255),
    ('.tif', np.uint16, 51234),
    ('.tif', np.float32, 1),
  ],
)
def test_gray_is_read_without_loss(tmp_path, suffix, dtype, top):
  pixels = gradient(dtype, top)
  read = picture.read(save(tmp_path / f'x{suffix}', pixels))
  assert read.voxels.dtype == dtype and not read.measured
  np.testing.assert_array_equal(read.voxels, pixels[None])
  slices = volume.to_plane(read.voxels, read.affine, 'axial')
  np.testing.assert_array_equal(slices[0], pixels)  # as it is looked at


def test_jpeg_is_read_nearly_without_loss(tmp_path):
  pixels = gradient(np.uint8, 255)
  path = save(tmp_path / 'x.jpeg', pixels, quality=95)
  np.testing.assert_allclose(picture.read(path).voxels[0], pixels, atol=8)


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P'])
def test_colour_becomes_luminance(tmp_path, mode):
  """ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B."""
  image = Image.new('RGB', (4, 4), (200, 100, 50)).convert(mode)
  image.save(tmp_path / 'x.png')
  expected = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
  tolerance = 1 if mode != 'P' else 26  # a palette's colours are coarse
  np.testing.assert_allclose(
    picture.read(tmp_path / 'x.png').voxels, expected, atol=tolerance
  )


def test_a_tiff_stack_is_one_volume(tmp_path):
  pages = [gradient(np.uint16, top) for top in (500, 600, 700)]
  first, *rest = map(Image.fromarray, pages)
  first.save(tmp_path / 'x.tif', save_all=True, append_images=rest)
  read = picture.read(tmp_path / 'x.tif')
  np.testing.assert_array_equal(read.voxels, np.stack(pages))
  first.save(
    tmp_path / 'y.tif', save_all=True, append_images=[Image.new('I;16', (3, 3))]
  )
  with pytest.raises(errors.UserError, match='y.tif holds pictures of diff'):
    picture.read(tmp_path / 'y.tif')


def test_no_image_and_a_broken_one_are_told_apart(tmp_path):
  (tmp_path / 'a.png').write_text('no image')
  with pytest.raises(errors.UserError, match=r'a\.png is not a PNG') as caught:
    picture.read(tmp_path / 'a.png')
  assert not isinstance(caught.value, picture.CorruptImageError)
  path = save(tmp_path / 'b.png', gradient(np.uint8, 255))
  path.write_bytes(path.read_bytes()[:-60])
  with pytest.raises(picture.CorruptImageError, match=r'b\.png'):
    picture.read(path)


def test_a_picture_of_too_many_pixels_is_refused_in_words(tmp_path):
  """By what its header says, before anything is made of it."""
  path = save(tmp_path / 'x.png', gradient(np.uint8, 255))
  content = bytearray(path.read_bytes())
  content[16:24] = struct.pack('>II', 30000, 30000)
  content[29:33] = struct.pack('>I', zlib.crc32(content[12:29]))
  path.write_bytes(content)
  with pytest.raises(errors.UserError, match='x.png says that it has more tha'):
    picture.read(path)


@pytest.mark.parametrize(
  'name,dtype,count',
  [
    ('x.png', np.uint8, 1),
    ('x.png', np.uint16, 1),
    ('x.tif', np.uint16, 3),
    ('x.tif', np.float32, 2),
  ],
)
def test_what_is_written_is_read_back(tmp_path, name, dtype, count):
  like = volume.Volume(None, volume.display_affine(), measured=False)
  voxels = np.stack([gradient(dtype, 200 + i) for i in range(count)])
  picture.write(tmp_path / name, voxels, like, _PROVENANCE)
  np.testing.assert_array_equal(picture.read(tmp_path / name).voxels, voxels)
  with Image.open(tmp_path / name) as image:
    notice = image.info.get('Description') or image.tag_v2[270]
  assert 'not for diagnosis' in notice


@pytest.mark.parametrize(
  'name,dtype,count,message',
  [
    ('x.png', np.uint8, 2, 'x.png can hold one slice, not 2'),
    ('x.png', np.float32, 1, 'x.png holds whole numbers only'),
    ('x.jpg', np.uint16, 1, 'x.jpg holds 8 bits only'),
  ],
)
def test_what_a_format_cannot_hold_is_refused(
  tmp_path, name, dtype, count, message
):
  like = volume.Volume(None, volume.display_affine(), measured=False)
  with pytest.raises(errors.UserError, match=message):
    picture.write(
      tmp_path / name, np.ones((count, 4, 4), dtype), like, _PROVENANCE
    )
