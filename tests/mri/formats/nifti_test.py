"""NIfTI files that are damaged, or leave open what they should tell."""

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from cyclegan_jax import errors
from cyclegan_jax.mri import scans
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.mri.formats import limits

_VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
_FIELDS = {  # where they stand, and what they are
  'ndim': (40, 'h'),
  'dim1': (42, 'h'),
  'datatype': (70, 'h'),
  'pixdim': (80, '3f'),
  'offset': (108, 'f'),
  'codes': (252, '2h'),
}


def read(path):
  (scan,) = scans.find_scans(path)
  return dispatch.read_scan(scan)


def write(path, **fields):
  content = bytearray(nib.Nifti1Image(_VOXELS, np.eye(4)).to_bytes())
  for name, values in fields.items():
    place, code = _FIELDS[name]
    struct.pack_into(f'<{code}', content, place, *values)
  path.write_bytes(content)
  return path


@pytest.mark.parametrize('suffix', ['nii.gz', 'nrrd', 'mha'])
def test_a_flipped_bit_is_found_wherever_it_lies(tmp_path, suffix):
  """Also of the checksum and the length; none gives other voxels.

  A few change nothing: gzip's own header tells a time, and what is packed can
  be copied from here or from there.
  """
  path = tmp_path / f'x.{suffix}'
  if suffix == 'nii.gz':
    nib.save(nib.Nifti1Image(_VOXELS, np.eye(4)), path)
    mark = b''
  else:
    sitk.WriteImage(sitk.GetImageFromArray(_VOXELS), str(path), True)
    mark = {'nrrd': b'\n\n', 'mha': b'ElementDataFile = LOCAL\n'}[suffix]
  whole, expected = path.read_bytes(), read(path).voxels
  start = whole.index(mark) + len(mark)
  harmless = 0
  for place in range(start, len(whole)):
    flipped = bytearray(whole)
    flipped[place] ^= 1 << place % 8
    path.write_bytes(flipped)
    try:
      voxels = read(path).voxels
    except errors.UserError as error:
      assert f'x.{suffix} cannot be read: ' in str(error)
      continue
    harmless += 1
    np.testing.assert_array_equal(voxels, expected)
  assert harmless < 16 < len(whole) - start


def test_what_follows_a_whole_file_is_told_apart_from_damage(tmp_path):
  packed = gzip.compress(write(tmp_path / 'x.nii').read_bytes())
  path = tmp_path / 'x.nii.gz'
  path.write_bytes(packed + bytes(512))  # as tapes and some disks fill up
  np.testing.assert_array_equal(read(path).voxels, _VOXELS)
  for content, message in (
    (packed + b'garbage', 'after what gzip packed, which is whole, come oth'),
    (packed[:-4], 'it is cut off; copy'),
    (packed[:-4] + b'1234', 'damaged, what it holds does not agree with its'),
    (b'garbage' * 100, 'it is not packed by gzip, as its name says; name'),
  ):
    path.write_bytes(content)
    with pytest.raises(errors.UserError, match=message):
      read(path)


@pytest.mark.parametrize(
  'fields,message',
  [
    (dict(datatype=[4096]), 'a type that NIfTI does not know, 4096; copy'),
    (dict(dim1=[-5]), r'declares the shape \(-5, 4, 5\); copy it again'),
    (dict(offset=[0]), 'it declares its voxels at byte 0; copy'),
    (dict(offset=[np.nan]), 'it declares its voxels at byte nan; copy'),
    (dict(ndim=[9]), 'does not say how many dimensions it has'),
    (dict(ndim=[0]), 'does not say how many dimensions it has'),
    (dict(dim1=[30000]), 'it declares 1,200,000 bytes of voxels and holds 120'),
  ],
)
def test_headers_that_lie_are_told_in_words(tmp_path, capfd, fields, message):
  path = write(tmp_path / 'x.nii', **fields)
  with pytest.raises(errors.UserError, match=message):
    read(path)
  assert capfd.readouterr() == ('', ''), 'the library says nothing'


@pytest.mark.parametrize(
  'fields,notes',
  [
    (dict(pixdim=[0, 0, 0]), []),  # the sform tells
    (dict(pixdim=[0, 1, 1], codes=[1, 0]), ['NIfTI gives a voxel spacing of']),
    (dict(codes=[0, 0]), ['NIfTI gives no orientation']),
  ],
)
def test_what_is_assumed_is_noted(tmp_path, capfd, fields, notes):
  volume = read(write(tmp_path / 'x.nii', **fields))
  assert len(volume.notes) == len(notes)
  for told, expected in zip(volume.notes, notes, strict=True):
    assert told.startswith(expected)
  assert volume.spacing == (1, 1, 1)
  assert capfd.readouterr() == ('', '')


def test_a_shape_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
  """It may be of gigabytes that are packed as densely as scans are."""
  path = tmp_path / 'x.nii.gz'
  header = nib.Nifti1Header()
  header.set_data_dtype(np.uint8)
  header.set_data_shape((32767, 32767, 1))
  header['magic'] = b'n+1'
  header['vox_offset'] = 352
  content = gzip.compress(header.binaryblock + bytes(4) + bytes(11_000_000), 0)
  path.write_bytes(content)
  monkeypatch.setattr(limits, 'measure', None)
  with pytest.raises(errors.UserError, match='more than the 536,870,912 voxel'):
    read(path)
