"""One DICOM file: opened and decoded as far as what it declares is bounded."""

import pathlib
import re
import struct
from typing import Any

import numpy as np
import pydicom
from pydicom import encaps
from pydicom import filereader
from pydicom import pixels as pixels_lib
import pydicom.uid

from cyclegan_jax import errors
from cyclegan_jax.mri.formats import gdcm_process
from cyclegan_jax.mri.formats import limits

PIXEL_TAGS = ('PixelData', 'FloatPixelData', 'DoubleFloatPixelData')
# By implicit VR and little endian, for files that name none.
_SYNTAXES: dict[tuple, Any] = {
  (True, True): pydicom.uid.ImplicitVRLittleEndian,
  (False, True): pydicom.uid.ExplicitVRLittleEndian,
  (False, False): pydicom.uid.ExplicitVRBigEndian,
}
_DEFLATED = pydicom.uid.DeflatedExplicitVRLittleEndian
# Where an image begins in JPEG and JPEG-LS: SOF0 to 15 and 55, but for the
# markers among them that are tables.
_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def open_file(path: pathlib.Path, **options) -> pydicom.FileDataset:
  """As `pydicom.dcmread`, of a file that unpacks to no more than is read.

  Args:
    path: of the file.
    **options: of `dcmread`.

  Raises:
    UserError: if it unpacks to more.
    Exception: all kinds, if it is broken.
  """
  with path.open('rb') as file:
    filereader.read_preamble(file, force=True)
    meta = filereader._read_file_meta_info(file)
    if meta.get('TransferSyntaxUID') == _DEFLATED:
      size = path.stat().st_size
      stream, total = limits.Inflating(file, raw=True), 0
      while piece := stream.read(2**20):
        total += len(piece)
        limits.check_packed(path, total, size)
        if total > limits.MAX_DEFLATED:
          raise errors.UserError(
            f'{path} unpacks to more than the {limits.MAX_DEFLATED:,} bytes '
            'that are read of a deflated DICOM file; save it without'
          )
  return pydicom.dcmread(path, force=True, **options)


def decode(dataset: pydicom.FileDataset, path: pathlib.Path) -> np.ndarray:
  """Pixels, [rows, columns] or [frames, rows, columns], in their stored type.

  Raises:
    UserError: if it declares more than is read, or than there is.
    Exception: all kinds, if it is broken.
  """
  if 'TransferSyntaxUID' not in dataset.file_meta:
    dataset.file_meta.TransferSyntaxUID = _SYNTAXES[dataset.original_encoding]
  rows, columns, frames = (
    int(dataset.get(keyword) or 1)
    for keyword in ('Rows', 'Columns', 'NumberOfFrames')
  )
  limits.check_shape(path, (frames, rows, columns))
  syntax = dataset.file_meta.TransferSyntaxUID
  if syntax.is_encapsulated and 'PixelData' in dataset:
    packed = dataset.PixelData
    limits.check_stored(path, frames * 8, len(packed))  # an item has 8 at least
    pixel = -(-int(dataset.BitsAllocated) // 8)
    declared = frames * rows * columns * pixel
    limits.check_packed(path, declared, len(packed), deflated=False)
    for frame in encaps.generate_frames(packed, number_of_frames=frames):
      _check_frame(path, frame, (rows, columns))
    # GDCM, which alone reads lossless JPEG, takes any and crashes.
    if syntax in pydicom.uid.JPEGTransferSyntaxes:
      bits = dataset.BitsAllocated, dataset.BitsStored
      if bits[0] not in (8, 16) or not 1 <= bits[1] <= bits[0]:
        raise errors.UserError(
          f'{path} cannot be read: JPEG pixels of {bits[1]} in {bits[0]} bits; '
          'copy it again, or take it out'
        )
  decoder = pixels_lib.get_decoder(syntax)
  # A broken file can make GDCM end the process, so any other is preferred.
  others = [name for name in decoder.available_plugins if name != 'gdcm']
  if decoder.available_plugins and not others:
    return gdcm_process.decode(path)
  # Unlike the property of this name, the function leaves nothing in the header.
  return pixels_lib.pixel_array(
    dataset, decoding_plugin=others[0] if others else ''
  )


def _check_frame(path, frame, declared):
  """Refuses a packed frame that is of another size than the header says.

  Decoders make room for what the frame says, not for what the header does.
  """
  size = _find_size(frame)
  if size and size != declared:
    raise errors.UserError(
      f'{path} cannot be read: it declares {declared} pixels and its packed '
      f'image {size}; copy it again, or take it out'
    )


def _find_size(frame) -> tuple[int, int] | None:
  """Rows and columns by a JPEG, JPEG-LS or JPEG 2000 header, if it is one."""
  found = re.search(rb'\xff\x4f\xff\x51(.{20})', frame[:4096], re.DOTALL)
  if found:  # the canvas, and where the image begins on it
    width, height, left, top = struct.unpack('>4x4I', found.group(1))
    return height - top, width - left
  place = 2 if frame[:2] == b'\xff\xd8' else len(frame)
  while place + 9 <= len(frame):
    marker, length = struct.unpack('>2H', frame[place : place + 4])
    if marker - 0xFF00 in _FRAME_MARKERS:
      return struct.unpack('>2H', frame[place + 5 : place + 9])
    place += 1 if marker == 0xFFFF else 2 + length  # 0xFF fills up
  return None
