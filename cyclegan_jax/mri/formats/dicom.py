"""DICOM series, classic (a file a slice) or enhanced (one file for them all).

Voxels are [slice, row, column]. Slices are ordered by where they lie, so that
these three axes are right-handed, as in highdicom. A volume's header is the
list of its slices' data sets in this order, without pixels; of an enhanced file
each frame gets one, like a classic file's but with ReferencedFrameNumber.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import itertools
import logging
import pathlib
from typing import NamedTuple
import warnings

import numpy as np
import pydicom
from pydicom import pixels as pixels_lib
import pydicom.config
import pydicom.misc
import pydicom.uid

from cyclegan_jax import errors
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dicom_file
from cyclegan_jax.mri.formats import dicom_stack
from cyclegan_jax.mri.formats import limits

_SUFFIXES = ('.dcm', '.ima')  # of files that may lack the preamble
_SERIES_TAGS = (
  *('SOPClassUID', 'SeriesInstanceUID', 'SeriesDescription', 'PatientID'),
  *('Rows', 'Columns', 'SpecificCharacterSet'),
)

_REQUIRED = ('Rows', 'Columns', 'BitsAllocated', 'PhotometricInterpretation')

# Whatever matters of what it logs, it raises as well.
logging.getLogger('pydicom').setLevel(logging.CRITICAL)


class Series(NamedTuple):
  """Files that belong together, sorted; '' stands for what they do not say."""

  uid: str
  paths: tuple[pathlib.Path, ...]
  description: str
  patient: str


def is_dicom(path: pathlib.Path) -> bool:
  """Whether a file begins as DICOM does, or is named like a DICOM file."""
  path = pathlib.Path(path)
  if not path.is_file():
    return False
  return path.suffix.lower() in _SUFFIXES or pydicom.misc.is_dicom(path)


def find_series(
  paths: Iterable[pathlib.Path],
  *,
  warn: Callable[[str], None] = lambda note: None,
) -> list[Series]:
  """Groups the DICOM images among some files by series; reads headers only.

  Args:
    paths: of files of any kind. What is not DICOM, or holds no image (a
      DICOMDIR, report, structure set or presentation state), is left out; an
      image that lacks its size is not, to be told when it is read.
    warn: called with a line if any are left out.

  Returns:
    The series, sorted by their first paths.

  Raises:
    UserError: if a DICOM file is broken, or there are some but no image.
  """
  found, others = {}, []
  for path in filter(is_dicom, sorted(map(pathlib.Path, paths))):
    try:
      with _reading(path):
        header = _read_tags(path)
    except errors.UserError:  # to be told when it is read, not at the expense
      found[str(path)] = [(path, dict.fromkeys(_SERIES_TAGS, ''))]  # of others
      continue
    sized = header['Rows'] and header['Columns']
    kind = header['SOPClassUID']
    if sized or 'Image' in _class_name(kind):
      found.setdefault(header['SeriesInstanceUID'], []).append((path, header))
    else:
      others.append(f'{path} holds no image ({_class_name(kind)})')
  if others and not found:
    raise errors.UserError(f'{others[0]}; give the files of an image series')
  if others:
    more = f', nor do {len(others) - 1} more' if others[1:] else ''
    warn(f'{others[0]}{more}: left out')
  return [
    Series(
      uid=uid,
      paths=tuple(path for path, _ in files),
      description=files[0][1]['SeriesDescription'],
      patient=files[0][1]['PatientID'],
    )
    for uid, files in found.items()
  ]


def read_series(paths: Sequence[pathlib.Path]) -> volume_lib.Volume:
  """Reads one series.

  Args:
    paths: of its files in any order.

  Returns:
    Voxels [slice, row, column] in their stored type, or float32 where a
    modality transform scales them. A single image without a place in space is
    not `measured`.

  Raises:
    UserError: if a file is broken or in colour, if there are more voxels than
      are read, or if they make no regular stack of parallel slices with one
      image at each place.
  """
  slices = []
  for path in sorted(map(pathlib.Path, paths)):
    with _reading(path):
      slices += _read_images(path)
      limits.check_shape(path.parent, (sum(s.pixels.size for s in slices),))
  name = _series_name(slices)
  with _reading(name):
    notes, affine, measured = [], volume_lib.display_affine(), True
    if slices[0].header.PhotometricInterpretation == 'MONOCHROME1':
      notes.append('DICOM shows high values dark (MONOCHROME1); kept as stored')
    if len(slices) == 1 and slices[0].grid is None:
      measured = False
      missing = dicom_stack.find_missing(slices[0].header)
      notes.append(
        f'DICOM gives no {missing}, and so no position in space; 1 mm pixels '
        'assumed'
      )
    else:
      dicom_stack.check_alike(slices, name)
      slices, dropped = dicom_stack.order(slices, name)
      affine, assumed = dicom_stack.find_affine(slices, name)
      notes += dropped + assumed
  voxels = np.stack([image.pixels for image in slices])
  if voxels.dtype.kind == 'f':
    voxels = voxels.astype(np.float32)  # mixed slices promote to float64
  headers = [image.header for image in slices]
  return volume_lib.Volume(voxels, affine, headers, measured, tuple(notes))


@contextlib.contextmanager
def _reading(name):
  """Any failure inside becomes a UserError that names what was read."""
  try:
    with warnings.catch_warnings():
      # Odd values are common where they do not matter; the rest is checked.
      warnings.simplefilter('ignore')
      yield
  except errors.UserError:
    raise
  except Exception as error:  # pydicom and its decoders raise all kinds
    reason = _line(error) or type(error).__name__
    raise errors.UserError(
      f'{name} cannot be read as DICOM: {reason}; copy it again, or take it out'
    ) from None


def _read_tags(path):
  header = dicom_file.open_file(
    path, stop_before_pixels=True, specific_tags=list(_SERIES_TAGS)
  )
  return {keyword: header.get(keyword) or '' for keyword in _SERIES_TAGS}


def _read_images(path) -> list[dicom_stack.Slice]:
  """The frames of a file, most often one."""
  dataset = dicom_file.open_file(path)
  if not any(keyword in dataset for keyword in dicom_file.PIXEL_TAGS):
    kind = _class_name(dataset.get('SOPClassUID'))
    raise errors.UserError(f'{path} holds no image ({kind}); take it out')
  missing = [each for each in _REQUIRED if not dataset.get(each)]
  if missing:
    raise errors.UserError(
      f'{path} has no {" and no ".join(missing)}, without which its pixels '
      'cannot be read; export it again, or take it out'
    )
  colour = _line(dataset.PhotometricInterpretation)
  if not colour.startswith('MONOCHROME'):
    raise errors.UserError(
      f'{path} is in colour ({colour}); give the series it was made from'
    )
  pixels = dicom_file.decode(dataset, path)
  for keyword in dicom_file.PIXEL_TAGS:
    dataset.pop(keyword, None)
  frames = pixels.reshape(-1, *pixels.shape[-2:])
  headers = _frame_headers(dataset)
  if len(headers) != len(frames):
    raise errors.UserError(
      f'{path} holds {len(frames)} frames but headers for {len(headers)}; '
      'export it as single images, or as an enhanced object'
    )
  return [
    dicom_stack.Slice(
      path, header, _scaled(frame, header), dicom_stack.find_grid(header)
    )
    for frame, header in zip(frames, headers, strict=True)
  ]


def _frame_headers(dataset) -> list[pydicom.Dataset]:
  """A header for each frame: an enhanced file's functional groups merged in."""
  shared, frames = (
    list(dataset.get(f'{whose}FunctionalGroupsSequence') or ())
    for whose in ('Shared', 'PerFrame')
  )
  dataset.pop('SharedFunctionalGroupsSequence', None)
  dataset.pop('PerFrameFunctionalGroupsSequence', None)
  headers = []
  for number, frame in enumerate(frames, start=1):
    header = pydicom.Dataset()
    header.update(dataset)
    for group in itertools.chain(*shared, frame):
      if group.VR == 'SQ' and group.value and not group.tag.is_private:
        header.update(group.value[0])
    header.ReferencedFrameNumber = number
    headers.append(header)
  return headers or [dataset]


def _scaled(pixels, header):
  """In the scanner's units; a slice may have a scale of its own, as in PET."""
  pixels = pixels.astype(pixels.dtype.newbyteorder('='))
  if 'ModalityLUTSequence' in header:
    return pixels_lib.apply_modality_lut(pixels, header)
  slope = float(header.get('RescaleSlope') or 1)  # 0 would be no scale
  intercept = float(header.get('RescaleIntercept') or 0)
  if (slope, intercept) == (1, 0):
    return pixels
  return (pixels.astype(np.float64) * slope + intercept).astype(np.float32)


def _series_name(slices):
  """For messages: the file, or the folder and what the series is called."""
  path, header = slices[0].path, slices[0].header
  if slices[-1].path == path:
    return str(path)
  with contextlib.suppress(Exception), _reading(path):
    return f'{path.parent} (DICOM series {_line(header.SeriesDescription)})'
  return f'{path.parent} (DICOM series without a name)'


def _class_name(uid):
  if not uid:
    return 'of no known kind'
  return _line(pydicom.uid.UID(str(uid), pydicom.config.IGNORE).name)


def _line(value):
  """A value of a file as a part of a message of one line, for any terminal."""
  line = ' '.join(str(value).split())
  return ''.join(each if each.isprintable() else '?' for each in line)
