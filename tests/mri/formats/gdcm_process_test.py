"""Lossless JPEG, which only GDCM decodes, and GDCM only elsewhere."""

import numpy as np
import pydicom
from pydicom import uid
import pytest
import SimpleITK as sitk

from cyclegan_jax import errors
from cyclegan_jax.mri.formats import dicom
from cyclegan_jax.mri.formats import gdcm_process

_PIXELS = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000


@pytest.fixture
def path(tmp_path):
  writer = sitk.ImageFileWriter()
  writer.UseCompressionOn()
  writer.SetCompressor('JPEG')
  writer.SetFileName(str(tmp_path / 'x.dcm'))
  writer.Execute(sitk.GetImageFromArray(_PIXELS))
  syntax = pydicom.dcmread(tmp_path / 'x.dcm').file_meta.TransferSyntaxUID
  assert syntax == uid.JPEGLosslessSV1
  return tmp_path / 'x.dcm'


def test_pixels_come_back_from_anywhere(path, monkeypatch):
  gdcm_process._stop(gdcm_process._start())
  gdcm_process._start.cache_clear()
  monkeypatch.chdir(path.parent)
  for _ in range(2):
    np.testing.assert_array_equal(dicom.read_series([path]).voxels[0], _PIXELS)
  assert gdcm_process._start.cache_info().currsize == 1


def test_a_crash_is_of_one_file(path):
  process = gdcm_process._start()
  process.kill()
  process.wait()
  with pytest.raises(errors.UserError, match='x.dcm cannot .* has crashed on'):
    dicom.read_series([path])
  np.testing.assert_array_equal(dicom.read_series([path]).voxels[0], _PIXELS)


def test_what_gdcm_refuses_is_told(path):
  content = bytearray(path.read_bytes())
  start = content.index(b'\xff\xda')  # of what is coded
  content[start + 2 : start + 4] = b'\xff\xff'
  path.write_bytes(content)
  with pytest.raises(errors.UserError, match='x.dcm cannot be read as DICOM'):
    dicom.read_series([path])
