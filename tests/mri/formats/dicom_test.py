"""DICOM series against SimpleITK, and what must be refused."""

import pathlib

import highdicom as hd
import numpy as np
import pydicom
from pydicom import uid
import pydicom.data
import pytest
import SimpleITK as sitk

from cyclegan_jax import errors
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dicom
from cyclegan_jax.mri.formats import dicom_writer

_PROVENANCE = volume_lib.Provenance(
  source='T1', target='T2', details={'model': 'unet', 'seed': 3}
)
_OBLIQUE = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0]
_OBLIQUE *= np.linalg.det(_OBLIQUE)  # a rotation
_SPACING = (2.5, 0.8, 1.1)  # slices, rows, columns
_BUNDLED = sorted(
  path
  for path in pathlib.Path(pydicom.data.DATA_ROOT).rglob('*')
  if path.is_file() and dicom.is_dicom(path)
)


def make_series(count=5, *, rotation=_OBLIQUE, kind='int16', bits=16, seed=0):
  """Data sets of a random volume; `rotation` has [column, row, slice] axes."""
  rng = np.random.default_rng(seed)
  low = -(2 ** (bits - 1)) if kind == 'int16' else 0
  voxels = rng.integers(low, low + 2**bits, (count, 6, 8)).astype(kind)
  common = dict(
    SOPClassUID=uid.MRImageStorage,
    Modality='MR',
    PatientName='Doe^Jane',
    PatientID='p1',
    PatientIdentityRemoved='YES',
    StudyInstanceUID=uid.generate_uid(),
    SeriesInstanceUID=uid.generate_uid(),
    FrameOfReferenceUID=uid.generate_uid(),
    SeriesDescription='t1 sag',
    SeriesNumber=4,
    EchoTime=12,
    FlipAngle=30,
    PatientPosition='HFS',
    ImageType=['ORIGINAL', 'PRIMARY', 'M'],
    ImageOrientationPatient=_ds(rotation[:, :2].T.ravel()),
    PixelSpacing=_ds(_SPACING[1:]),
    SliceThickness=_ds([2.0])[0],
    SpacingBetweenSlices=_ds(_SPACING[:1])[0],
    WindowCenter=7,
  )
  datasets = []
  for index, pixels in enumerate(voxels):
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    for keyword, value in common.items():
      setattr(dataset, keyword, value)
    corner = np.array([-40, 25, 12]) + rotation[:, 2] * _SPACING[0] * index
    dataset.ImagePositionPatient = _ds(corner)
    dataset.InstanceNumber = int(rng.integers(1000))  # is not to be trusted
    dataset.private_block(0x0019, 'VENDOR', create=True).add_new(1, 'LO', 'x')
    dataset.set_pixel_data(pixels, 'MONOCHROME2', bits_stored=bits)
    datasets.append(dataset)
  return datasets


def _ds(values):
  return [pydicom.valuerep.DS(float(v), auto_format=True) for v in values]


def save(folder, datasets):
  """In files of shuffled names."""
  folder.mkdir(parents=True, exist_ok=True)
  names = np.random.default_rng(1).permutation(len(datasets))
  for name, dataset in zip(names, datasets, strict=True):
    dataset.save_as(folder / f'{name:03d}.dcm', enforce_file_format=True)
  return sorted(folder.iterdir())


def read(folder, datasets):
  return dicom.read_series(save(folder, datasets))


def read_itk(folder):
  reader = sitk.ImageSeriesReader()
  reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
  return reader.Execute()


def assert_like_itk(volume, image, tolerance=0):
  """Every voxel has the place and the value that SimpleITK gives it."""
  places = np.indices(volume.voxels.shape).reshape(3, -1)
  world = volume.affine[:3, :3] @ places + volume.affine[:3, 3:]
  values = sitk.GetArrayFromImage(image)  # [z, y, x]
  assert values.size == volume.voxels.size
  for place, (x, y, z) in zip(places.T, world.T, strict=True):
    exact = image.TransformPhysicalPointToContinuousIndex((-x, -y, z))
    index = np.rint(exact).astype(int)
    back = image.TransformIndexToPhysicalPoint(index.tolist())
    np.testing.assert_allclose(back, (-x, -y, z), atol=1e-3)
    value = volume.voxels[tuple(place)]
    assert abs(float(value) - values[tuple(index[::-1])]) <= tolerance


def refuse(folder, datasets, match):
  with pytest.raises(errors.UserError, match=match) as caught:
    read(folder, datasets)
  assert '\n' not in str(caught.value)
  assert str(folder) in str(caught.value)


_AXES = np.eye(3)
_ROTATIONS = {
  'axial': _AXES,
  'coronal': _AXES[:, [0, 2, 1]] * [1, -1, 1],
  'sagittal': _AXES[:, [1, 2, 0]] * [1, -1, -1],
  'oblique': _OBLIQUE,
}


@pytest.mark.parametrize('rotation', _ROTATIONS.values(), ids=_ROTATIONS.keys())
def test_geometry_and_values_are_those_of_simpleitk(tmp_path, rotation):
  volume = read(tmp_path, make_series(rotation=rotation))
  assert volume.voxels.dtype == np.int16 and volume.voxels.shape == (5, 6, 8)
  assert volume.measured and not volume.notes
  assert np.linalg.det(volume.affine) > 0
  np.testing.assert_allclose(volume.spacing, _SPACING, rtol=1e-6)
  assert_like_itk(volume, read_itk(tmp_path))


def test_header_follows_the_slices(tmp_path):
  volume = read(tmp_path, make_series())
  for index, header in enumerate(volume.header):
    x, y, z = volume.affine[:3] @ [index, 0, 0, 1]
    np.testing.assert_allclose(
      header.ImagePositionPatient, (-x, -y, z), atol=1e-4
    )
    assert 'PixelData' not in header


@pytest.mark.parametrize(
  'kind,bits', [('int16', 12), ('uint16', 12), ('uint16', 16), ('uint8', 8)]
)
def test_stored_types(tmp_path, kind, bits):
  volume = read(tmp_path, make_series(kind=kind, bits=bits))
  assert volume.voxels.dtype == kind
  assert_like_itk(volume, read_itk(tmp_path))


def test_bits_beyond_those_stored_are_no_part_of_the_value(tmp_path):
  datasets = make_series(kind='uint16', bits=12)
  clean = read(tmp_path / 'clean', datasets).voxels
  for dataset in datasets:
    pixels = np.frombuffer(dataset.PixelData, '<u2') | 0xA000
    dataset.PixelData = pixels.tobytes()
  np.testing.assert_array_equal(read(tmp_path / 'set', datasets).voxels, clean)


def test_each_slice_has_its_own_rescale(tmp_path):
  datasets = make_series(3)
  plain = read(tmp_path / 'plain', datasets).voxels
  for index, dataset in enumerate(datasets):
    dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + index, -index
  volume = read(tmp_path / 'scaled', datasets)
  assert volume.voxels.dtype == np.float32
  slopes = [float(header.RescaleSlope) for header in volume.header]
  for pixels, stored, slope in zip(volume.voxels, plain, slopes, strict=True):
    np.testing.assert_allclose(
      pixels, stored * slope - (slope - 0.5), rtol=1e-6
    )
  assert_like_itk(volume, read_itk(tmp_path / 'scaled'), tolerance=1e-2)


def test_modality_lut(tmp_path):
  (dataset,) = make_series(1, kind='uint8', bits=8)
  stored = pydicom.pixels.pixel_array(dataset)
  table = pydicom.Dataset()
  table.LUTDescriptor, table.ModalityLUTType = [256, 0, 16], 'US'
  table.LUTData = [1000 + 3 * value for value in range(256)]
  dataset.ModalityLUTSequence = [table]
  dataset['ModalityLUTSequence'][0]['LUTData'].VR = 'US'
  dataset['ModalityLUTSequence'][0]['LUTDescriptor'].VR = 'US'
  volume = read(tmp_path, [dataset])
  np.testing.assert_array_equal(volume.voxels[0], 1000 + 3 * stored.astype(int))


def test_inverted_display_keeps_values(tmp_path):
  datasets = make_series(2)
  plain = read(tmp_path / 'plain', datasets).voxels
  for dataset in datasets:
    dataset.PhotometricInterpretation = 'MONOCHROME1'
  volume = read(tmp_path / 'inverted', datasets)
  np.testing.assert_array_equal(volume.voxels, plain)
  assert 'MONOCHROME1' in volume.notes[0]


@pytest.mark.parametrize('syntax', [uid.RLELossless, uid.JPEGLSLossless])
def test_compressed(tmp_path, syntax):
  datasets = make_series(3, kind='uint16', bits=12)
  plain = read(tmp_path / 'plain', datasets).voxels
  for dataset in datasets:
    dataset.compress(syntax, generate_instance_uid=False)
  np.testing.assert_array_equal(
    read(tmp_path / 'small', datasets).voxels, plain
  )


def test_jpeg_lossless(tmp_path):
  datasets = make_series(1, kind='uint16', bits=16)
  (path,) = save(tmp_path / 'plain', datasets)
  writer = sitk.ImageFileWriter()
  writer.KeepOriginalImageUIDOn()
  writer.UseCompressionOn()
  writer.SetCompressor('JPEG')  # the others crash SimpleITK
  writer.SetFileName(str(tmp_path / 'small.dcm'))
  writer.Execute(sitk.ReadImage(str(path)))
  syntax = pydicom.dcmread(tmp_path / 'small.dcm').file_meta.TransferSyntaxUID
  assert syntax == uid.JPEGLosslessSV1
  np.testing.assert_array_equal(
    dicom.read_series([tmp_path / 'small.dcm']).voxels,
    dicom.read_series([path]).voxels,
  )


@pytest.mark.parametrize(
  'name', ['RLE', 'bigendian', 'implicit', 'jp2klossless', 'jpeg_ls_lossless']
)
def test_transfer_syntaxes(name):
  folder = pathlib.Path(pydicom.data.DATA_ROOT, 'test_files')
  plain = dicom.read_series([folder / 'MR_small.dcm'])
  volume = dicom.read_series([folder / f'MR_small_{name}.dcm'])
  np.testing.assert_array_equal(volume.voxels, plain.voxels)
  assert volume.voxels.dtype == plain.voxels.dtype


def test_file_without_preamble(tmp_path):
  (dataset,) = make_series(1)
  path = tmp_path / 'bare.IMA'
  plain = pydicom.pixels.pixel_array(dataset)
  dataset.file_meta = pydicom.dataset.FileMetaDataset()
  pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True)
  assert dicom.is_dicom(path)
  assert [series.paths for series in dicom.find_series([path])] == [(path,)]
  np.testing.assert_array_equal(dicom.read_series([path]).voxels[0], plain)


def test_identical_duplicates_are_dropped(tmp_path):
  datasets = make_series()
  volume = read(tmp_path, [*datasets, *datasets[1:3]])
  assert volume.voxels.shape[0] == 5 and len(volume.header) == 5
  assert volume.notes == ('2 duplicate DICOM images left out',)


def test_several_images_of_each_place_are_refused(tmp_path):
  first, second = make_series(), make_series(seed=1)
  for dataset in second:
    dataset.EchoTime = 90
    for keyword in ('SeriesInstanceUID', 'FrameOfReferenceUID'):
      setattr(dataset, keyword, first[0].get(keyword))
  refuse(
    tmp_path,
    [*first, *second],
    r't1 sag.* 10 images at 5 places, up to 2 at each, differing in EchoTime; ',
  )


@pytest.mark.parametrize('missing', [[1], [3], [2, 3]])
def test_missing_slices_are_refused(tmp_path, missing):
  datasets = make_series(rotation=_AXES)
  low = 12 + 2.5 * (missing[0] - 1)
  high = 12 + 2.5 * (missing[-1] + 1)
  kept = [d for index, d in enumerate(datasets) if index not in missing]
  between = rf'slices are missing between z = {low:.1f} and {high:.1f} mm'
  refuse(tmp_path, kept, between)


def test_uneven_spacing_is_refused(tmp_path):
  datasets = make_series(rotation=_AXES)
  datasets[2].ImagePositionPatient[2] += 0.4
  refuse(tmp_path, datasets, 'unevenly spaced between z = 14.5 and 17.4 mm')


def test_gantry_tilt_is_refused(tmp_path):
  datasets = make_series(rotation=_AXES)
  for index, dataset in enumerate(datasets):
    dataset.ImagePositionPatient[1] += 0.2 * index
  refuse(tmp_path, datasets, 'gantry tilt')


def test_rounded_positions_are_fine(tmp_path):
  datasets = make_series()
  for dataset in datasets:
    for keyword, digits in [('Position', 2), ('Orientation', 4)]:
      keyword = f'Image{keyword}Patient'
      setattr(
        dataset, keyword, np.round(dataset[keyword].value, digits).tolist()
      )
  np.testing.assert_allclose(
    read(tmp_path, datasets).spacing, _SPACING, atol=0.01
  )


def test_cosines_off_unit_length_are_fine(tmp_path):
  datasets = make_series()
  for dataset in datasets:
    cosines = np.array(dataset.ImageOrientationPatient, float) * 1.004
    dataset.ImageOrientationPatient = _ds(cosines)
  spacing = read(tmp_path, datasets).spacing
  np.testing.assert_allclose(spacing, _SPACING, rtol=1e-6)


def test_localizer_is_refused(tmp_path):
  datasets = make_series(2)
  datasets[1].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
  refuse(tmp_path, datasets, 'differs from .* in orientation')


@pytest.mark.parametrize(
  'keyword,value,match',
  [
    ('PixelSpacing', [1, 1], 'in pixel spacing'),
    ('FrameOfReferenceUID', '1.2.3', 'in frame of reference'),
    ('ImagePositionPatient', None, 'no ImagePositionPatient, and so no pos'),
    ('PixelSpacing', None, 'no PixelSpacing, and so no position in space'),
    ('Rows', None, 'has no Rows, without which its pixels cannot be read'),
    ('Columns', None, 'has no Columns, without which its pixels cannot be '),
    ('ImagePositionPatient', [0, 0], 'cannot be read as DICOM: position'),
    ('PixelSpacing', [0, 1], 'cannot be read as DICOM: position'),
    ('NumberOfFrames', 3, 'cannot be read as DICOM: The number of bytes'),
    ('BitsAllocated', 12, 'cannot be read as DICOM'),
    ('RescaleSlope', 'x', 'cannot be read as DICOM'),
  ],
)
@pytest.mark.filterwarnings('ignore')
def test_odd_slice_is_refused(tmp_path, keyword, value, match):
  datasets = make_series(3)
  if value == 'x':  # pydicom itself would not write it as a number
    datasets[1].add_new('RescaleSlope', 'LO', value)
  else:
    setattr(datasets[1], keyword, value)
  refuse(tmp_path, datasets, match)


def test_other_sizes_are_refused(tmp_path):
  datasets = make_series(3)
  datasets[1].set_pixel_data(np.zeros((4, 4), 'uint16'), 'MONOCHROME2', 16)
  refuse(tmp_path, datasets, r'in size \(6, 8\)|in size \(4, 4\)')


def test_degenerate_orientation_is_refused(tmp_path):
  datasets = make_series(1)
  datasets[0].ImageOrientationPatient = [1, 0, 0, 1, 0, 0]
  refuse(tmp_path, datasets, 'invalid ImageOrientationPatient')


def test_colour_is_refused(tmp_path):
  (dataset,) = make_series(1)
  dataset.set_pixel_data(np.zeros((4, 4, 3), 'uint8'), 'RGB', bits_stored=8)
  refuse(tmp_path, [dataset], r'is in colour \(RGB\)')


def test_truncated_pixels_are_refused(tmp_path):
  (dataset,) = make_series(1)
  (path,) = save(tmp_path, [dataset])
  path.write_bytes(path.read_bytes()[:-20])
  with pytest.raises(errors.UserError, match=f'{path} cannot be read as DICOM'):
    dicom.read_series([path])


def test_broken_compressed_pixels_do_not_end_the_process(tmp_path):
  datasets = make_series(1, kind='uint16', bits=16)
  datasets[0].compress(uid.JPEGLSLossless)
  frame_start = b'\xff\xf7\x00\x0b\x10'  # its last byte is the precision
  assert frame_start in datasets[0].PixelData
  datasets[0].PixelData = datasets[0].PixelData.replace(
    frame_start, frame_start[:-1] + b'\x11'
  )
  refuse(tmp_path, datasets, 'cannot be read as DICOM')


def test_multi_frame_without_places_is_refused(tmp_path):
  (dataset,) = make_series(1)
  dataset.set_pixel_data(np.zeros((3, 4, 4), 'uint8'), 'MONOCHROME2', 8)
  refuse(tmp_path, [dataset], '3 frames but headers for 1')


def test_single_slice(tmp_path):
  (dataset,) = make_series(1)
  volume = read(tmp_path / 'a', [dataset])
  np.testing.assert_allclose(volume.spacing, _SPACING, rtol=1e-6)
  del dataset.SpacingBetweenSlices
  assert read(tmp_path / 'b', [dataset]).spacing[0] == pytest.approx(2)
  del dataset.SliceThickness
  volume = read(tmp_path / 'c', [dataset])
  assert (
    volume.spacing[0] == pytest.approx(1) and 'thickness' in volume.notes[0]
  )


def test_single_slice_without_a_place(tmp_path):
  (dataset,) = make_series(1)
  del dataset.ImagePositionPatient
  volume = read(tmp_path, [dataset])
  assert not volume.measured and volume.voxels.shape == (1, 6, 8)
  np.testing.assert_array_equal(volume.affine, volume_lib.display_affine())


def make_enhanced(datasets, slopes=None):
  """The slices in one enhanced MR file, frames in the order of `datasets`."""
  enhanced = pydicom.Dataset()
  enhanced.file_meta = pydicom.dataset.FileMetaDataset()
  enhanced.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
  for keyword in (
    *('PatientName', 'PatientID', 'StudyInstanceUID', 'SeriesInstanceUID'),
    *('FrameOfReferenceUID', 'Modality', 'SeriesDescription'),
  ):
    setattr(enhanced, keyword, datasets[0].get(keyword))
  enhanced.SOPClassUID = uid.EnhancedMRImageStorage
  shared = pydicom.Dataset()
  shared.PlaneOrientationSequence = [
    _pick(datasets[0], 'ImageOrientationPatient')
  ]
  shared.PixelMeasuresSequence = [
    _pick(datasets[0], 'PixelSpacing', 'SliceThickness', 'SpacingBetweenSlices')
  ]
  enhanced.SharedFunctionalGroupsSequence = [shared]
  enhanced.PerFrameFunctionalGroupsSequence = frames = pydicom.Sequence()
  for index, dataset in enumerate(datasets):
    frame = pydicom.Dataset()
    frame.PlanePositionSequence = [_pick(dataset, 'ImagePositionPatient')]
    if slopes:
      dataset.RescaleSlope, dataset.RescaleIntercept = slopes[index], -2
      frame.PixelValueTransformationSequence = [
        _pick(dataset, 'RescaleSlope', 'RescaleIntercept')
      ]
    frames.append(frame)
  pixels = np.stack([pydicom.pixels.pixel_array(d) for d in datasets])
  enhanced.set_pixel_data(pixels, 'MONOCHROME2', bits_stored=16)
  return enhanced


def _pick(dataset, *keywords):
  picked = pydicom.Dataset()
  for keyword in keywords:
    setattr(picked, keyword, dataset.get(keyword))
  return picked


@pytest.mark.parametrize('slopes', [None, [1.5, 2, 1, 3, 0.5]])
def test_enhanced_is_read_like_classic(tmp_path, slopes):
  series = make_series()
  datasets = [series[index] for index in (3, 0, 4, 1, 2)]
  enhanced = make_enhanced(datasets, slopes)
  volume = read(tmp_path / 'enhanced', [enhanced])
  classic = read(tmp_path / 'classic', datasets)
  np.testing.assert_array_equal(volume.voxels, classic.voxels)
  assert volume.voxels.dtype == classic.voxels.dtype
  np.testing.assert_array_equal(volume.affine, classic.affine)
  theirs = hd.Image.from_dataset(enhanced).get_volume()
  np.testing.assert_allclose(volume.voxels, theirs.array, rtol=1e-6)
  lps = np.diag([-1, -1, 1, 1]) @ volume.affine
  np.testing.assert_allclose(lps, theirs.affine, atol=1e-6)


def test_four_dimensional_enhanced_is_refused(tmp_path):
  enhanced = make_enhanced([*make_series(), *make_series(seed=1)])
  for index, frame in enumerate(enhanced.PerFrameFunctionalGroupsSequence):
    frame.FrameContentSequence = [pydicom.Dataset()]
    frame.FrameContentSequence[0].TemporalPositionIndex = 1 + index // 5
  match = '10 images at 5 places, .* differing in TemporalPositionIndex'
  refuse(tmp_path, [enhanced], match)


def test_find_series(tmp_path):
  one, two = make_series(3), make_series(2, seed=1)
  two[0].SeriesDescription = two[1].SeriesDescription = 't2'
  paths = [*save(tmp_path / 'b', one), *save(tmp_path / 'a', two)]
  report = _pick(one[0], 'SeriesInstanceUID')
  report.file_meta = one[0].file_meta
  report.SOPClassUID = uid.BasicTextSRStorage
  report.SOPInstanceUID = uid.generate_uid()
  (other,) = save(tmp_path / 'report', [report])
  (tmp_path / 'a' / 'notes.txt').write_text('hello')
  found = dicom.find_series([*paths, other, tmp_path / 'a' / 'notes.txt'])
  assert [series.description for series in found] == ['t2', 't1 sag']
  assert found[1].uid == one[0].SeriesInstanceUID and found[1].patient == 'p1'
  assert found[1].paths == tuple(sorted((tmp_path / 'b').iterdir()))
  assert dicom.find_series([tmp_path / 'a' / 'notes.txt']) == []
  with pytest.raises(errors.UserError, match='Basic Text SR'):
    dicom.find_series([other])


def test_round_trip(tmp_path):
  datasets = make_series()
  source = read(tmp_path / 'source', datasets)
  voxels = np.random.default_rng(5).normal(90, 40, source.voxels.shape)
  dicom_writer.write_series(
    tmp_path / 'new' / 'out', voxels, source, _PROVENANCE
  )
  paths = sorted((tmp_path / 'new' / 'out').iterdir())
  assert [path.name for path in paths] == [f'000{i}.dcm' for i in range(1, 6)]
  assert [path.name for path in (tmp_path / 'new').iterdir()] == ['out']
  volume = dicom.read_series(paths)
  np.testing.assert_array_equal(volume.affine, source.affine)
  rounding = np.ptp(voxels) / 65535 / 2
  np.testing.assert_allclose(volume.voxels, voxels, rtol=1e-6, atol=rounding)
  assert_like_itk(volume, read_itk(tmp_path / 'new' / 'out'), tolerance=1e-3)
  uids = {header.SOPInstanceUID for header in volume.header}
  assert len(uids) == 5
  assert len({header.SeriesInstanceUID for header in volume.header}) == 1
  for number, (new, old) in enumerate(
    zip(volume.header, source.header, strict=True), start=1
  ):
    for keyword in (
      *('PatientName', 'PatientID', 'PatientIdentityRemoved', 'Modality'),
      *('StudyInstanceUID', 'FrameOfReferenceUID', 'SOPClassUID'),
      *('ImagePositionPatient', 'ImageOrientationPatient', 'PixelSpacing'),
      *('SliceThickness', 'SpacingBetweenSlices'),
    ):
      assert new[keyword].value == old[keyword].value, keyword
    assert new.SeriesInstanceUID != old.SeriesInstanceUID
    assert new.ImageType[:2] == ['DERIVED', 'SECONDARY']
    assert new.SeriesDescription == _PROVENANCE.description
    assert '"model": "unet"' in new.DerivationDescription
    assert new.ContentQualification == 'RESEARCH'
    assert new.SeriesNumber == 4001 and new.InstanceNumber == number
    reference = new.SourceImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == '121322'
    assert new.EchoTime is None and new.ScanningSequence == 'RM'
    assert 'FlipAngle' not in new and new.PatientPosition == 'HFS'
    assert not any(element.tag.is_private for element in new)
    assert 60 < new.WindowCenter < 120


@pytest.mark.parametrize(
  'kind,bits', [('int16', 16), ('uint16', 16), ('float32', 8)]
)
def test_whole_numbers_are_written_exactly(tmp_path, kind, bits):
  source = read(tmp_path / 'a', make_series(3))
  shape = source.voxels.shape
  low = -32768 if kind == 'int16' else 0
  voxels = np.random.default_rng(0).integers(low, low + 2**bits, shape)
  voxels = voxels.astype(kind)
  dicom_writer.write_series(tmp_path / 'b', voxels, source, _PROVENANCE)
  volume = dicom.read_series((tmp_path / 'b').iterdir())
  np.testing.assert_array_equal(volume.voxels, voxels)
  assert volume.voxels.dtype.kind in 'iu'


@pytest.mark.parametrize('value', [0.0, -3.25, 1e-7, 1e6])
def test_constant_and_extreme_values(tmp_path, value):
  source = read(tmp_path / 'a', make_series(2))
  voxels = np.full(source.voxels.shape, value, np.float32)
  dicom_writer.write_series(tmp_path / 'b', voxels, source, _PROVENANCE)
  back = dicom.read_series((tmp_path / 'b').iterdir()).voxels
  np.testing.assert_allclose(back, voxels, rtol=1e-6)


def test_enhanced_becomes_classic(tmp_path):
  source = read(tmp_path / 'a', [make_enhanced(make_series())])
  dicom_writer.write_series(tmp_path / 'b', source.voxels, source, _PROVENANCE)
  volume = dicom.read_series((tmp_path / 'b').iterdir())
  np.testing.assert_array_equal(volume.affine, source.affine)
  np.testing.assert_array_equal(volume.voxels, source.voxels)
  assert volume.header[0].SOPClassUID == uid.MRImageStorage
  reference = volume.header[0].SourceImageSequence[0]
  assert reference.ReferencedSOPClassUID == uid.EnhancedMRImageStorage
  assert (
    reference.ReferencedFrameNumber == source.header[0].ReferencedFrameNumber
  )
  assert_like_itk(volume, read_itk(tmp_path / 'b'))


@pytest.mark.parametrize('handed', [1, -1])
def test_source_that_was_not_dicom(tmp_path, handed):
  affine = np.eye(4)
  affine[:3, :3] = _OBLIQUE * [handed * 0.9, 1.2, 3]
  affine[:3, :3] += 3e-4  # not exactly orthogonal, as from float32 quaternions
  affine[:3, 3] = [10, -20, 30]
  voxels = np.random.default_rng(0).integers(0, 999, (4, 5, 6)).astype('f4')
  like = volume_lib.Volume(voxels, affine, header=None)
  dicom_writer.write_series(tmp_path / 'out', voxels, like, _PROVENANCE)
  volume = dicom.read_series((tmp_path / 'out').iterdir())
  assert_like_itk(volume, read_itk(tmp_path / 'out'))
  # The same voxels in the same places, whatever the order of the axes.
  turned = volume_lib.to_plane(volume.voxels, volume.affine, 'axial')
  np.testing.assert_array_equal(
    turned, volume_lib.to_plane(voxels, affine, 'axial')
  )
  index = np.linalg.solve(volume.affine, affine @ [1, 2, 3, 1])
  np.testing.assert_allclose(index, np.rint(index), atol=5e-3)
  assert volume.voxels[tuple(np.rint(index[:3]).astype(int))] == voxels[1, 2, 3]
  assert volume.header[0].PatientID == 'SYNTHETIC'
  assert volume.header[0].SOPClassUID == uid.MRImageStorage


def test_sheared_affine_is_refused(tmp_path):
  affine = np.eye(4)
  affine[0, 2] = 0.01
  like = volume_lib.Volume(np.zeros((2, 3, 4)), affine)
  with pytest.raises(errors.UserError, match='sheared'):
    dicom_writer.write_series(tmp_path / 'out', like.voxels, like, _PROVENANCE)
  assert not list(tmp_path.iterdir())


def test_existing_folder_is_refused(tmp_path):
  like = volume_lib.Volume(np.zeros((2, 3, 4)), np.eye(4))
  with pytest.raises(errors.UserError, match='exists'):
    dicom_writer.write_series(tmp_path, like.voxels, like, _PROVENANCE)


def test_failure_leaves_nothing_behind(tmp_path, monkeypatch):
  source = read(tmp_path / 'in', make_series(3))

  def fail(*_, **__):
    raise OSError('disk full')

  monkeypatch.setattr(pydicom, 'dcmwrite', fail)
  with pytest.raises(OSError, match='disk full'):
    dicom_writer.write_series(
      tmp_path / 'out', source.voxels, source, _PROVENANCE
    )
  assert [path.name for path in tmp_path.iterdir()] == ['in']


def test_names_beyond_ascii(tmp_path):
  source = read(tmp_path / 'a', make_series(1))
  provenance = volume_lib.Provenance(
    'T1', 'T2\\\u03b1', {'name': '\u03b1' * 999}
  )
  dicom_writer.write_series(tmp_path / 'b', source.voxels, source, provenance)
  (header,) = dicom.read_series((tmp_path / 'b').iterdir()).header
  assert header.SeriesDescription == 'SYNTHETIC T2/? from T1, not for diagnosis'


@pytest.mark.parametrize('path', _BUNDLED, ids=lambda path: path.name)
def test_any_file_is_read_or_refused(path, tmp_path):
  try:
    volume = dicom.read_series([path])
  except errors.UserError as error:
    assert '\n' not in str(error) and str(path) in str(error)
    return
  assert np.isfinite(volume.voxels).all() and np.isfinite(volume.affine).all()
  dicom_writer.write_series(
    tmp_path / 'out', volume.voxels, volume, _PROVENANCE
  )
  back = dicom.read_series((tmp_path / 'out').iterdir())
  np.testing.assert_allclose(back.affine, volume.affine, atol=1e-4)
  rounding = np.ptp(volume.voxels.astype(float)) / 65535 / 2
  np.testing.assert_allclose(
    back.voxels.astype(float), volume.voxels, atol=rounding, rtol=1e-6
  )
