"""A small valid scan in every format that is read, and a tiny checkpoint.

Made of numbers that do not change, so that a mutated one can be had again.
"""

import functools
import gzip
import io
import pathlib
import zlib

import nibabel as nib
import numpy as np
from PIL import Image
import pydicom
from pydicom import encaps
from pydicom import uid
import SimpleITK as sitk

_SHAPE = (12, 14, 10)
_LEVELS = 4000


def make_voxels(kind=np.int16) -> np.ndarray:
  """[12, 14, 10] of one kind, the same in every process."""
  rng = np.random.default_rng(0)
  return rng.integers(0, _LEVELS, _SHAPE).astype(kind)


def _nifti(image, comment=b''):
  image.header.set_xyzt_units('mm')
  if comment:
    extension = nib.nifti1.Nifti1Extension('comment', comment)
    image.header.extensions.append(extension)
  return image.to_bytes()


def _itk(folder, name, packed=False):
  image = sitk.GetImageFromArray(make_voxels())
  image.SetSpacing((1.0, 1.5, 2.0))
  sitk.WriteImage(image, str(folder / name), useCompression=packed)


def _picture(kind, top, **options):
  pages = make_voxels(np.float64) * (top / _LEVELS)
  if kind == 'RGB':
    pages = pages.astype(np.uint8)[..., None].repeat(3, axis=-1)
  else:
    pages = pages.astype(kind)
  first, *rest = map(Image.fromarray, pages[:3])
  if options['format'] == 'TIFF':
    options |= dict(save_all=True, append_images=rest)
  content = io.BytesIO()
  first.save(content, **options)
  return content.getvalue()


def make_slice(number=0, *, pixels=None) -> pydicom.Dataset:
  """A data set of one MR image."""
  dataset = pydicom.Dataset()
  dataset.file_meta = pydicom.dataset.FileMetaDataset()
  dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
  fields = dict(
    SOPClassUID=uid.MRImageStorage,
    SOPInstanceUID=f'1.2.3.{number + 1}',
    Modality='MR',
    PatientName='Doe^Jane',
    PatientID='p1',
    StudyInstanceUID='1.2.3.100',
    SeriesInstanceUID='1.2.3.200',
    FrameOfReferenceUID='1.2.3.300',
    SeriesDescription='t1',
    NumberOfFrames=1,
    ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
    ImagePositionPatient=[0, 0, 2 * number],
    PixelSpacing=[1, 1],
    SliceThickness=2,
    RescaleSlope=2,
    RescaleIntercept=1,
  )
  for keyword, value in fields.items():
    setattr(dataset, keyword, value)
  if pixels is None:
    pixels = make_voxels(np.uint16)[number]
  dataset.set_pixel_data(pixels, 'MONOCHROME2', bits_stored=16)
  return dataset


def _save(dataset):
  content = io.BytesIO()
  pydicom.dcmwrite(content, dataset, enforce_file_format=True)
  return content.getvalue()


def _packed_slice(syntax):
  dataset = make_slice()
  dataset.compress(syntax, generate_instance_uid=False)
  return _save(dataset)


def _jpeg_2000():
  dataset = make_slice()
  content = io.BytesIO()
  image = Image.fromarray(make_voxels(np.uint16)[0])
  image.save(content, format='JPEG2000', no_jp2=True, irreversible=False)
  dataset.PixelData = encaps.encapsulate([content.getvalue()])
  dataset['PixelData'].is_undefined_length = True
  dataset.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
  return _save(dataset)


def _jpeg_lossless(folder):
  dataset = make_slice()
  del dataset.RescaleSlope, dataset.RescaleIntercept  # would make them int32
  (folder / 'plain.dcm').write_bytes(_save(dataset))
  writer = sitk.ImageFileWriter()
  writer.KeepOriginalImageUIDOn()
  writer.UseCompressionOn()
  writer.SetCompressor('JPEG')
  writer.SetFileName(str(folder / 'x.dcm'))
  writer.Execute(sitk.ReadImage(str(folder / 'plain.dcm')))
  (folder / 'plain.dcm').unlink()


def _deflated():
  dataset = make_slice()
  dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
  return _save(dataset)


def _enhanced():
  dataset = make_slice(pixels=make_voxels(np.uint16)[:4])
  dataset.SOPClassUID = uid.EnhancedMRImageStorage
  shared, frames = pydicom.Dataset(), []
  for name, keywords in (
    ('PlaneOrientationSequence', ['ImageOrientationPatient']),
    ('PixelMeasuresSequence', ['PixelSpacing', 'SliceThickness']),
  ):
    group = pydicom.Dataset()
    for keyword in keywords:
      setattr(group, keyword, dataset.pop(keyword).value)
    setattr(shared, name, [group])
  del dataset.ImagePositionPatient
  for number in range(4):
    group, frame = pydicom.Dataset(), pydicom.Dataset()
    group.ImagePositionPatient = [0, 0, 2 * number]
    frame.PlanePositionSequence = [group]
    frames.append(frame)
  dataset.SharedFunctionalGroupsSequence = [shared]
  dataset.PerFrameFunctionalGroupsSequence = frames
  return _save(dataset)


def _npy():
  content = io.BytesIO()
  np.save(content, make_voxels(np.float32))
  return content.getvalue()


def _checkpoint(folder):
  from benchmarks import fuzz_checkpoints

  fuzz_checkpoints.write(folder)


# By name, a file's name and what makes its bytes; or what fills a folder. The
# suffix decides who reads it.
SEEDS = {
  'nifti': ('x.nii', lambda: _nifti(_image(), b'{"a": 1}' * 4)),
  'nifti gz': ('x.nii.gz', lambda: gzip.compress(_nifti(_image()), mtime=0)),
  'nifti 2': ('x.nii', lambda: _nifti(_image(nib.Nifti2Image))),
  'dicom': ('x.dcm', lambda: _save(make_slice())),
  'dicom rle': ('x.dcm', lambda: _packed_slice(uid.RLELossless)),
  'dicom jpeg-ls': ('x.dcm', lambda: _packed_slice(uid.JPEGLSLossless)),
  'dicom jpeg 2000': ('x.dcm', _jpeg_2000),
  'dicom jpeg': ('x.dcm', _jpeg_lossless),
  'dicom deflated': ('x.dcm', _deflated),
  'dicom enhanced': ('x.dcm', _enhanced),
  'nrrd': ('x.nrrd', lambda folder: _itk(folder, 'x.nrrd')),
  'nrrd gz': ('x.nrrd', lambda folder: _itk(folder, 'x.nrrd', True)),
  'nhdr': ('x.nhdr', lambda folder: _itk(folder, 'x.nhdr')),
  'mha': ('x.mha', lambda folder: _itk(folder, 'x.mha')),
  'mha zlib': ('x.mha', lambda folder: _itk(folder, 'x.mha', True)),
  'mhd': ('x.mhd', lambda folder: _itk(folder, 'x.mhd')),
  'npy': ('x.npy', _npy),
  'png 8': ('x.png', lambda: _picture(np.uint8, 255, format='PNG')),
  'png 16': ('x.png', lambda: _picture(np.uint16, 60000, format='PNG')),
  'jpeg': ('x.jpg', lambda: _picture('RGB', 255, format='JPEG')),
  'tiff': ('x.tif', lambda: _picture(np.float32, 1, format='TIFF')),
  'tiff deflate': (
    'x.tif',
    lambda: _picture(
      np.uint8, 255, format='TIFF', compression='tiff_adobe_deflate'
    ),
  ),
  'tiff lzw': (
    'x.tif',
    lambda: _picture(np.uint16, 60000, format='TIFF', compression='tiff_lzw'),
  ),
  'checkpoint': ('', _checkpoint),
}


def _image(kind=nib.Nifti1Image):
  return kind(make_voxels(), np.diag([1.0, 1.5, 2.0, 1.0]))


def write(name: str, folder: pathlib.Path):
  """Writes the seed of one format to a folder that is made for it."""
  folder.mkdir(parents=True)
  file, make = SEEDS[name]
  if make.__code__.co_argcount:
    make(folder)
  else:
    (folder / file).write_bytes(make())


@functools.cache
def pack_zeros(count: int, *, bits: int = zlib.MAX_WBITS + 16) -> bytes:
  """So many zeros as gzip, or as `zlib.compressobj` has it with other bits."""
  packer = zlib.compressobj(9, wbits=bits)
  block = bytes(2**20)
  pieces = [packer.compress(block) for _ in range(count // len(block))]
  return b''.join([*pieces, packer.flush()])
