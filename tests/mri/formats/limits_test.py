"""Headers that declare too much, lead elsewhere, or unpack without end."""

import gzip
import io
import os
import pickle
import struct
import zlib

import nibabel as nib
import numpy as np
from PIL import Image
import pydicom
from pydicom import uid
import pytest
import SimpleITK as sitk

from cyclegan_jax import errors
from cyclegan_jax.data import cache
from cyclegan_jax.mri import scans
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.mri.formats import limits

_VOXELS = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
_ZEROS = 3 * 2**20  # bytes: more than may follow the voxels


def read(folder):
  (scan,) = scans.find_scans(folder)
  return dispatch.read_scan(scan)


def refuse(folder, match):
  with pytest.raises(errors.UserError, match=match) as caught:
    read(folder)
  assert '\n' not in str(caught.value) and str(folder) in str(caught.value)


def write_itk(path, packed=False):
  sitk.WriteImage(sitk.GetImageFromArray(_VOXELS), str(path), packed)
  return path


def write_nifti(path, **fields):
  image = nib.Nifti1Image(_VOXELS, np.eye(4))
  content = bytearray(image.to_bytes())
  for place, packed in fields.values():
    content[place : place + len(packed)] = packed
  path.write_bytes(gzip.compress(content) if path.suffix == '.gz' else content)
  return path


@pytest.mark.parametrize('name', ['x.nii', 'x.nii.gz'])
@pytest.mark.parametrize(
  'fields,match',
  [
    (dict(dim=(42, struct.pack('<3h', 9000, 9000, 9000))), 'declares'),
    (dict(dim=(42, struct.pack('<3h', 40, 50, 60))), 'declares 240,000 bytes'),
    (dict(dim=(42, struct.pack('<3h', 4, -5, 6))), 'x.nii'),
    (dict(offset=(108, struct.pack('<f', 1e9))), 'voxels at byte 1,000,000,0'),
    (dict(offset=(108, struct.pack('<f', -16))), 'cannot be read'),
    (dict(offset=(108, struct.pack('<f', np.nan))), 'cannot be read'),
    (
      dict(
        offset=(108, struct.pack('<f', 512)),
        size=(348, struct.pack('<ii', 1, -8)),
      ),
      'an extension of -8 bytes',
    ),
  ],
)
def test_a_nifti_header_is_not_believed(tmp_path, name, fields, match):
  write_nifti(tmp_path / name, **fields)
  refuse(tmp_path, match)


def test_a_volume_has_no_more_voxels_than_the_limit(tmp_path, monkeypatch):
  write_nifti(tmp_path / 'x.nii')
  assert read(tmp_path).voxels.size == 120
  monkeypatch.setattr(limits, 'MAX_VOXELS', 119)
  refuse(tmp_path, r'the shape \(4, 5, 6\), which is more than the 119 voxels')


def test_the_limit_is_of_what_is_taken_of_a_file(tmp_path, monkeypatch):
  voxels = np.stack([_VOXELS, _VOXELS], axis=-1)
  nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / 'x.nii')
  monkeypatch.setattr(limits, 'MAX_VOXELS', 120)
  (scan,) = scans.find_scans(tmp_path)
  assert dispatch.read_scan(scan, index=1).voxels.size == 120


def append_zeros(path, start, pack):
  """Replaces what is packed from `start` by its voxels and many zeros."""
  content = path.read_bytes()
  packed = pack(_VOXELS.tobytes() + bytes(_ZEROS))
  path.write_bytes(content[: content.index(start) + len(start)] + packed)


def test_packed_voxels_end_where_the_header_says(tmp_path):
  for number, suffix in enumerate(('nii.gz', 'nrrd', 'mha')):
    folder = tmp_path / str(number)
    folder.mkdir()
    path = folder / f'x.{suffix}'
    if suffix == 'nii.gz':
      content = gzip.decompress(write_nifti(path).read_bytes())
      path.write_bytes(gzip.compress(content + bytes(_ZEROS)))
    elif suffix == 'nrrd':
      append_zeros(write_itk(path, True), b'\n\n', gzip.compress)
    else:
      append_zeros(write_itk(path, True), b'LOCAL\n', zlib.compress)
      content = path.read_bytes()
      size = len(content) - content.index(b'LOCAL\n') - 6
      field = content[content.index(b'CompressedDataSize') :].splitlines()[0]
      changed = b'CompressedDataSize = %d' % size
      path.write_bytes(content.replace(field, changed))
    refuse(folder, 'unpacks to more than the [0-9]+ bytes that it declares')


@pytest.mark.parametrize('suffix', ['nrrd', 'mha', 'nhdr', 'mhd'])
@pytest.mark.parametrize('packed', [False, True])
def test_itk_takes_no_zeros_for_voxels_that_are_missing(
  tmp_path, suffix, packed
):
  path = write_itk(tmp_path / f'x.{suffix}', packed)
  assert read(tmp_path).voxels.size == 120
  *_, data = sorted(tmp_path.iterdir(), key=lambda each: each != path)
  data.write_bytes(data.read_bytes()[:-20])
  refuse(tmp_path, 'cannot be read')


@pytest.mark.parametrize(
  'named',
  [
    *('../y.raw', '/etc/passwd', 'LIST', 'x%d.raw 1 2 1', '..', '.'),
    *('a/../x.raw', 'C:\\x.raw', '\x1b[31m'),
  ],
)
@pytest.mark.parametrize('suffix', ['nrrd', 'mha', 'nhdr', 'mhd'])
def test_a_header_leads_to_no_other_folder(tmp_path, named, suffix):
  folder = tmp_path / 'scans'
  folder.mkdir()
  path = write_itk(folder / f'x.{suffix}')
  (tmp_path / 'y.raw').write_bytes(_VOXELS.tobytes())
  content = path.read_bytes()
  if suffix in ('nrrd', 'nhdr'):
    header = content.partition(b'\n\n')[0].partition(b'\ndata file')[0]
    path.write_bytes(header.rstrip() + f'\ndata file: {named}\n\n'.encode())
  else:
    header = content.partition(b'ElementDataFile')[0]
    path.write_bytes(header + f'ElementDataFile = {named}\n'.encode())
  refuse(folder, 'x[.].* leads to .*; its voxels must be one file beside it')


def test_a_field_given_twice_is_refused(tmp_path):
  path = write_itk(tmp_path / 'x.mha')
  path.write_bytes(path.read_bytes().replace(b'NDims = 3', b'NDims = 3\n' * 2))
  refuse(tmp_path, 'its header has the line|a field twice')
  path = write_itk(tmp_path / 'x.mha')
  path.write_bytes(b'NDims = 3\n' + path.read_bytes())
  refuse(tmp_path, 'its header has a field twice')


def test_a_pickle_is_never_loaded(tmp_path):
  for number, content in enumerate(([1, 2], np.array([{}], object))):
    folder = tmp_path / str(number)
    folder.mkdir()
    with (folder / 'x.npy').open('wb') as file:
      if number:
        np.save(file, content, allow_pickle=True)
      else:
        pickle.dump(content, file)
    refuse(folder, 'x.npy holds a pickle, which can run programs')


@pytest.mark.parametrize(
  'shape,match',
  [
    ((2**20, 2**20, 2**20), 'bytes of voxels and holds 0'),
    ((40, 50, 60), 'declares 480,000 bytes of voxels and holds 0'),
    ((-4, 5, 6), r'declares the shape \(-4, 5, 6\)'),
  ],
)
def test_an_npy_header_is_not_believed(tmp_path, shape, match):
  content = io.BytesIO()
  header = {'descr': '<f4', 'fortran_order': False, 'shape': shape}
  np.lib.format.write_array_header_1_0(content, header)
  (tmp_path / 'x.npy').write_bytes(content.getvalue())
  refuse(tmp_path, match)


def test_an_archive_named_npy_is_refused(tmp_path):
  with (tmp_path / 'x.npy').open('wb') as file:
    np.savez(file, a=_VOXELS)
  refuse(tmp_path, 'x.npy is not an .npy file: it does not begin as one')


def test_a_picture_is_of_no_other_format_than_its_readers(tmp_path):
  """Pillow would hand PostScript to another program."""
  Image.new('L', (4, 4)).save(tmp_path / 'x.png', format='GIF')
  refuse(tmp_path, 'x.png is not a PNG, JPEG or TIFF image')


def test_pictures_of_a_warning_are_refused_too(tmp_path):
  Image.new('1', (9600, 9600)).save(tmp_path / 'x.png')
  refuse(tmp_path, 'says that it has more than 89,478,485 pixels')


def test_pages_together_are_bounded(tmp_path, monkeypatch):
  first, *rest = [Image.new('L', (50, 50))] * 4
  first.save(tmp_path / 'x.tif', save_all=True, append_images=rest)
  assert read(tmp_path).voxels.shape == (4, 50, 50)
  monkeypatch.setattr(limits, 'MAX_VOXELS', 9999)
  refuse(tmp_path, 'more than the 9,999 voxels')


def make_dicom(**fields):
  dataset = pydicom.Dataset()
  dataset.file_meta = pydicom.dataset.FileMetaDataset()
  dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
  dataset.SOPClassUID = uid.MRImageStorage
  dataset.SOPInstanceUID, dataset.SeriesInstanceUID = '1.2.3', '1.2.4'
  dataset.set_pixel_data(_VOXELS[0].astype('u2'), 'MONOCHROME2', 16)
  for keyword, value in fields.items():
    setattr(dataset, keyword, value)
  return dataset


@pytest.mark.parametrize(
  'fields,match',
  [
    (dict(Rows=65535, Columns=65535), 'more than the [0-9,]+ voxels'),
    (dict(NumberOfFrames=2**31 - 1), 'more than the [0-9,]+ voxels'),
    (dict(NumberOfFrames=-1), r'declares the shape \(-1, 5, 6\)'),
    (dict(Rows=500), 'cannot be read as DICOM'),
  ],
)
def test_a_dicom_header_is_not_believed(tmp_path, fields, match):
  dataset = make_dicom(**fields)
  dataset.save_as(tmp_path / 'x.dcm', enforce_file_format=True)
  refuse(tmp_path, match)


def test_a_packed_frame_is_as_large_as_its_header_says(tmp_path):
  dataset = make_dicom()
  dataset.compress(uid.JPEGLSLossless, generate_instance_uid=False)
  frame_start = b'\xff\xf7\x00\x0b\x10'  # then rows and columns
  at = dataset.PixelData.index(frame_start) + len(frame_start)
  content = bytearray(dataset.PixelData)
  content[at : at + 4] = struct.pack('>2H', 60000, 60000)
  dataset.PixelData = bytes(content)
  dataset.save_as(tmp_path / 'x.dcm', enforce_file_format=True)
  refuse(tmp_path, r'\(5, 6\) pixels and its packed image \(60000, 60000\)')


def test_more_frames_than_a_packed_file_can_hold_are_refused(tmp_path):
  dataset = make_dicom()
  dataset.compress(uid.RLELossless, generate_instance_uid=False)
  dataset.NumberOfFrames = 10**6
  dataset.save_as(tmp_path / 'x.dcm', enforce_file_format=True)
  refuse(tmp_path, 'declares 8,000,000 bytes of voxels')


def test_jpeg_of_64_bits_does_not_end_the_process(tmp_path):
  """GDCM aborts."""
  path = write_itk(tmp_path / 'x.nrrd')
  writer = sitk.ImageFileWriter()
  writer.UseCompressionOn()
  writer.SetCompressor('JPEG')
  writer.SetFileName(str(tmp_path / 'x.dcm'))
  writer.Execute(sitk.Cast(sitk.ReadImage(str(path))[:, :, 0], sitk.sitkUInt16))
  path.unlink()
  dataset = pydicom.dcmread(tmp_path / 'x.dcm')
  dataset.BitsAllocated = 64
  dataset.save_as(tmp_path / 'x.dcm')
  refuse(tmp_path, 'JPEG pixels of 16 in 64 bits')


def test_a_deflated_dicom_file_is_bounded(tmp_path, monkeypatch):
  dataset = make_dicom()
  dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
  dataset.save_as(tmp_path / 'x.dcm', enforce_file_format=True)
  assert read(tmp_path).voxels.shape == (1, 5, 6)
  monkeypatch.setattr(limits, 'MAX_DEFLATED', 100)
  refuse(tmp_path, 'unpacks to more than the 100 bytes')


def test_a_pipe_is_no_scan(tmp_path):
  """Nobody writes to these, so that reading them would never end."""
  for name in ('x.nii', 'x.mhd', 'x.dcm', 'x'):
    os.mkfifo(tmp_path / name)
  found = scans.find_scans(tmp_path)
  assert {scan.name for scan in found} == {'x.nii', 'x.mhd'}
  for scan in found:
    with pytest.raises(errors.UserError, match='is no regular file but'):
      dispatch.read_scan(scan)
    with pytest.raises(errors.UserError, match='is no regular file but'):
      cache.hash_files(tmp_path / 'cache', scan.paths)
  os.mkfifo(tmp_path / 'y.raw')
  path = tmp_path / 'y.mhd'
  path.write_text(
    'NDims = 3\nDimSize = 4 5 6\nElementType = MET_SHORT\n'
    'ElementDataFile = y.raw\n'
  )
  (scan,) = scans.find_scans(path)
  with pytest.raises(errors.UserError, match='y.raw is no regular file but'):
    dispatch.read_scan(scan)


def test_links_to_scans_are_followed(tmp_path):
  """They are the user's own; only headers are not trusted."""
  write_itk(tmp_path / 'there.mhd')
  folder = tmp_path / 'scans'
  folder.mkdir()
  for suffix in ('mhd', 'raw'):
    (folder / f'there.{suffix}').symlink_to(tmp_path / f'there.{suffix}')
  assert read(folder).voxels.size == 120


def test_text_of_a_file_does_not_reach_the_terminal_as_it_is(tmp_path):
  dataset = make_dicom(SOPClassUID='1.2.33333')
  del dataset.PixelData, dataset.Rows
  path = tmp_path / 'x.dcm'
  dataset.save_as(path, enforce_file_format=True)
  path.write_bytes(path.read_bytes().replace(b'1.2.33333', b'1.2.\x1b[31m'))
  with pytest.raises(errors.UserError, match='holds no image') as caught:
    scans.find_scans(tmp_path)
  assert str(caught.value).isprintable()


def test_zeros_packed_into_nothing_are_no_scan(tmp_path):
  """Not even where the header says how many they are."""
  content = bytearray(nib.Nifti1Image(_VOXELS, np.eye(4)).to_bytes()[:352])
  struct.pack_into('<4h', content, 40, 3, 512, 512, 512)
  packed = gzip.compress(content) + gzip.compress(bytes(2**20)) * 256
  (tmp_path / 'x.nii.gz').write_bytes(packed)
  refuse(tmp_path, 'declares 268,435,456 bytes of voxels and has 26')


def test_masks_are_packed_densely(tmp_path):
  voxels = np.zeros((200, 200, 200), np.uint8)
  voxels[50:60] = 1
  for number, suffix in enumerate(('nii.gz', 'nrrd', 'mha')):
    folder = tmp_path / str(number)
    folder.mkdir()
    path = folder / f'x.{suffix}'
    sitk.WriteImage(sitk.GetImageFromArray(voxels.T), str(path), True)
    assert path.stat().st_size < voxels.size / 150
    np.testing.assert_array_equal(read(folder).voxels, voxels)


def test_blank_pictures_are_read_however_they_are_packed(tmp_path):
  blank = Image.new('L', (3000, 3000))
  for name, options in (
    ('x.png', {}),
    ('x.tif', dict(compression='tiff_lzw')),
    ('x.jpg', dict(progressive=True)),
  ):
    folder = tmp_path / name
    folder.mkdir()
    blank.save(folder / name, **options)
    assert not read(folder).voxels.any()
