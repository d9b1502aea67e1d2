"""Synthetic scans as DICOM: derived secondary series."""

import contextlib
import datetime
import json
import pathlib
import tempfile
import warnings

import highdicom
import numpy as np
import pydicom
import pydicom.datadict
import pydicom.uid
import pydicom.valuerep

from cyclegan_jax import errors
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dicom_profile
from cyclegan_jax.mri.formats import dicom_stack

# What of a source is still true of an image derived from it; all else, private
# tags and the acquisition among it, is not carried over.
_KEPT_GROUPS = (0x0010, 0x0012)  # patient; trial and de-identification
_KEPT_TAGS = (
  *('SpecificCharacterSet', 'SOPClassUID', 'Modality', 'StudyInstanceUID'),
  'SeriesNumber',
  *('StudyDate', 'StudyTime', 'StudyID', 'StudyDescription', 'AccessionNumber'),
  *('ReferringPhysicianName', 'InstitutionName', 'BodyPartExamined'),
  *('PatientPosition', 'PatientOrientation', 'Laterality', 'ImageLaterality'),
  *('FrameOfReferenceUID', 'PositionReferenceIndicator', 'SliceLocation'),
  *(*dicom_stack.GEOMETRY_TAGS, 'SliceThickness', 'SpacingBetweenSlices'),
  # Once lossy, always lossy, says the standard.
  *('LossyImageCompression', 'LossyImageCompressionRatio'),
  'LossyImageCompressionMethod',
)
_CLASSIC = {  # for the frames of multi-frame files
  pydicom.uid.EnhancedMRImageStorage: pydicom.uid.MRImageStorage,
  pydicom.uid.LegacyConvertedEnhancedMRImageStorage: pydicom.uid.MRImageStorage,
  pydicom.uid.EnhancedCTImageStorage: pydicom.uid.CTImageStorage,
  pydicom.uid.LegacyConvertedEnhancedCTImageStorage: pydicom.uid.CTImageStorage,
}
_MR_TAGS = {  # the MR class demands them: 'RM' is research, None unknown
  **dict(ScanningSequence='RM', SequenceVariant='NONE', ScanOptions=None),
  **dict(MRAcquisitionType=None, EchoTime=None, RepetitionTime=None),
  'EchoTrainLength': None,
}
_SHEAR = 1e-3  # how far an affine's unit vectors may be from orthogonal


def write_series(
  folder: pathlib.Path,
  voxels: np.ndarray,
  like: volume_lib.Volume,
  provenance: volume_lib.Provenance,
):
  """Writes a derived series, one classic uncompressed file a slice.

  A source that was DICOM gives patient, study, modality and geometry, as its
  headers have them; any other gives its affine, and [I, J, K] become column,
  row and slice. Values are rounded to at most 1/65535 of their range, and not
  at all if they are 16-bit integers.

  Args:
    folder: which must not exist; appears only when complete.
    voxels: [I, J, K] on the grid of `like`, finite.
    like: the source.
    provenance: what the series says of itself; with pseudonyms it does not say
      who it is of.

  Raises:
    UserError: if the folder exists, or the affine is sheared.
  """
  folder = pathlib.Path(folder)
  if folder.exists():
    raise errors.UserError(f'{folder} exists; choose another, or delete it')
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # of odd values that the source has
    source = like.header if isinstance(like.header, list) else []
    if source and isinstance(source[0], pydicom.Dataset):
      planes = [_derived(header) for header in source]
    else:
      voxels = np.transpose(voxels, (2, 1, 0))
      planes = _new_planes(like.affine, voxels.shape)
    stored, scale = _quantized(voxels)
    common = {**_statement(provenance), **scale, **_window(voxels)}
    common['SeriesInstanceUID'] = pydicom.uid.generate_uid(None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
      prefix=f'.{folder.name}.', dir=folder.parent
    ) as temporary:
      partial = pathlib.Path(temporary, folder.name)
      partial.mkdir()
      pairs = zip(planes, stored, strict=True)
      for number, (plane, pixels) in enumerate(pairs, start=1):
        _describe(plane, common, number, provenance.pseudonyms)
        _write_slice(partial / f'{number:04d}.dcm', plane, pixels)
      partial.rename(folder)


def _derived(source):
  """A data set with what `source` says that holds for a derived image."""
  plane = pydicom.Dataset()
  for tag, _ in source.items():  # iterating decodes all of them
    keyword = pydicom.datadict.keyword_for_tag(tag)
    if tag.group in _KEPT_GROUPS or keyword in _KEPT_TAGS:
      with contextlib.suppress(Exception):  # illegible, and no matter
        plane[tag] = source[tag]
  reference = pydicom.Dataset()
  reference.ReferencedSOPClassUID = source.get('SOPClassUID')
  reference.ReferencedSOPInstanceUID = source.get('SOPInstanceUID')
  reference.PurposeOfReferenceCodeSequence = [
    highdicom.sr.CodedConcept(
      '121322', 'DCM', 'Source image for image processing operation'
    )
  ]
  capture = pydicom.uid.SecondaryCaptureImageStorage
  plane.SOPClassUID = plane.get('SOPClassUID') or capture
  if 'ReferencedFrameNumber' in source:
    reference.ReferencedFrameNumber = source.ReferencedFrameNumber
    plane.SOPClassUID = _CLASSIC.get(plane.SOPClassUID, capture)
  plane.SourceImageSequence = [reference]
  # What is burned in may be translated like anything else.
  plane.BurnedInAnnotation = source.get('BurnedInAnnotation') or 'NO'
  number = int(plane.get('SeriesNumber') or 0)
  plane.SeriesNumber = number % 10**6 * 1000 + 1  # IS ends at 2**31
  return plane


def _new_planes(affine, shape):
  """Data sets of slices [K, J, I] whose reversed indices have this affine."""
  lps, shear = volume_lib.to_lps(affine)
  if shear > _SHEAR:
    raise errors.UserError(
      'the affine of the scan is sheared, which DICOM cannot hold; write NIfTI '
      '(.nii.gz), or resample the scan first'
    )
  geometry = highdicom.VolumeGeometry(
    lps[:, [2, 1, 0, 3]], shape, coordinate_system='PATIENT'
  )
  study, space = pydicom.uid.generate_uid(None), pydicom.uid.generate_uid(None)
  planes = []
  for position in geometry.get_plane_positions():
    plane = pydicom.Dataset()
    plane.SOPClassUID = pydicom.uid.MRImageStorage
    plane.Modality = 'MR'
    plane.BurnedInAnnotation = 'NO'
    plane.PatientName = plane.PatientID = 'SYNTHETIC'
    plane.StudyInstanceUID, plane.FrameOfReferenceUID = study, space
    plane.SeriesNumber = 1
    plane.update(position[0])
    plane.update(geometry.get_plane_orientation()[0])
    plane.update(geometry.get_pixel_measures()[0])
    planes.append(plane)
  return planes


def _statement(provenance):
  """Attributes that say what the series is."""
  now = datetime.datetime.now()
  date, time = now.strftime('%Y%m%d'), now.strftime('%H%M%S')
  text = provenance.plain_description
  return dict(
    SeriesDescription=text.replace('\\', '/'),  # a backslash would split it
    DerivationDescription=json.dumps(provenance.details, default=str)[:1024],
    ContentQualification='RESEARCH',
    Manufacturer='cyclegan_jax',
    **dict(ContentDate=date, SeriesDate=date, InstanceCreationDate=date),
    **dict(ContentTime=time, SeriesTime=time, InstanceCreationTime=time),
  )


def _quantized(voxels):
  """16-bit integers, and the attributes that turn them back into `voxels`."""
  low, high = float(voxels.min()), float(voxels.max())
  whole = np.array_equal(voxels, np.rint(voxels))
  signed = whole and -32768 <= low < 0 and high <= 32767
  slope, intercept = '1', '0'
  if not signed and not (whole and low >= 0 and high <= 65535):
    slope, intercept = (
      str(pydicom.valuerep.DS(value, auto_format=True))
      for value in ((high - low) / 65535 or 1.0, low)
    )
  kind = np.dtype('<i2' if signed else '<u2')
  stored = np.rint((voxels - np.float64(intercept)) / float(slope))
  limits = np.iinfo(kind)
  # MR Image Storage has no rescale formally, but readers honour it.
  return stored.clip(limits.min, limits.max).astype(kind), dict(
    RescaleSlope=slope, RescaleIntercept=intercept, RescaleType='US'
  )


def _window(voxels):
  """How viewers should show the series at first."""
  low, high = np.percentile(voxels, [1, 99])
  values = dict(WindowCenter=(low + high) / 2, WindowWidth=(high - low) or 1.0)
  formatted = {
    keyword: pydicom.valuerep.DS(float(value), auto_format=True)
    for keyword, value in values.items()
  }
  # The plain LINEAR demands a width of at least 1.
  return formatted | dict(VOILUTFunction='LINEAR_EXACT')


def _describe(plane, common, number, pseudonyms):
  """All that a slice says, but for its pixels."""
  plane.SOPInstanceUID = pydicom.uid.generate_uid(None)
  plane.ImageType = ['DERIVED', 'SECONDARY']
  if plane.SOPClassUID == pydicom.uid.MRImageStorage:
    common = _MR_TAGS | common
    plane.ImageType.append('OTHER')  # the MR class demands a third value
  for keyword, value in common.items():
    setattr(plane, keyword, value)
  plane.InstanceNumber = number
  if pseudonyms:
    dicom_profile.apply(plane, pseudonyms)


def _write_slice(path, plane, pixels):
  plane.set_pixel_data(pixels, 'MONOCHROME2', bits_stored=16)
  plane.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
  pydicom.dcmwrite(path, plane, enforce_file_format=True)
