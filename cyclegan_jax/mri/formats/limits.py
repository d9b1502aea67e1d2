"""How much of a scan is read: headers are believed up to here.

A file of a few bytes can declare, or unpack to, more than a machine holds.
Readers ask here before they make room for what a header declares.
"""

from collections.abc import Sequence
import errno
import gzip
import math
import os
import pathlib
import stat
from typing import Protocol
import zlib

from cyclegan_jax import errors

MAX_VOXELS = 2**29  # 512 x 512 x 2,048; float32 of them take 2 GiB
MAX_DEFLATED = 2**28  # bytes of a DICOM file that is packed as a whole
MAX_HEADER = 2**24  # bytes before the voxels
_SMALL = 2**26  # bytes that may be packed as densely as it goes: masks are
_DENSE = 100  # bytes packed into one; of scans, which are noisy, about 2
_MOST = 1032  # bytes that deflate makes of one
_SLACK = 2**20  # bytes that may follow the voxels, such as padding
_CHUNK = 2**20


class Readable(Protocol):
  """Something that gives its bytes in pieces."""

  def read(self, size: int, /) -> bytes: ...


def check_file(path: pathlib.Path):
  """Refuses what is no regular file: reading a pipe or a device may not end.

  So are links that lead nowhere. Folders, and what is not there, are left to
  whoever opens them.

  Raises:
    UserError: naming it.
  """
  try:
    mode = os.stat(path).st_mode
  except OSError as error:
    if os.path.islink(path):
      # On some systems a loop is told as what is not there.
      where = 'to itself' if error.errno == errno.ELOOP else 'nowhere'
      raise errors.UserError(
        f'{path} is a link that leads {where}; take it out, or bring back what '
        'it should lead to'
      ) from None
    return
  if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
    raise errors.UserError(
      f'{path} is no regular file but a pipe, socket or device; take it out, '
      'or copy what it gives to a file'
    )


def check_shape(path: pathlib.Path | str, shape: Sequence[int]):
  """Refuses a scan that declares more voxels than are read.

  Args:
    path: to be named.
    shape: of what would be in memory; any number of axes.

  Raises:
    UserError: naming it.
  """
  sizes = [int(size) for size in shape]
  if any(size < 0 for size in sizes):
    raise errors.UserError(
      f'{path} declares the shape {tuple(sizes)}; copy it again, or take it out'
    )
  if math.prod(sizes) > MAX_VOXELS:
    raise errors.UserError(
      f'{path} declares the shape {tuple(sizes)}, which is more than the '
      f'{MAX_VOXELS:,} voxels that are read at most; crop or resample it'
    )


def check_stored(path: pathlib.Path, declared: int, stored: int):
  """Refuses a file that cannot hold the voxels that it declares.

  Args:
    path: to be named.
    declared: bytes, by its header.
    stored: bytes that there are, unpacked.

  Raises:
    UserError: naming it.
  """
  if declared > stored:
    raise errors.UserError(
      f'{path} cannot be read: it declares {declared:,} bytes of voxels and '
      f'holds {max(stored, 0):,}; copy it again, or take it out'
    )


def check_packed(
  path: pathlib.Path | str,
  declared: int,
  packed: int,
  *,
  deflated: bool = True,
):
  """Refuses a file that is packed as densely as no scan of its size is.

  Small ones may be blank, and are let be as far as that packs.

  Args:
    path: to be named.
    declared: bytes of voxels, by its header.
    packed: bytes that there are, before they are unpacked.
    deflated: whether by deflate; others pack what is blank without a bound.

  Raises:
    UserError: naming it.
  """
  most = _DENSE
  if declared <= _SMALL:
    most = _MOST if deflated else declared
  if declared > packed * most:
    raise errors.UserError(
      f'{path} declares {declared:,} bytes of voxels and has {packed:,} to '
      'unpack them from, which no scan is; copy it again, or take it out'
    )


def measure(path: pathlib.Path, stream: Readable, declared: int) -> int:
  """Bytes of a packed stream, which is read to its end but not kept.

  There stands its checksum, which reading voxels need not come to.

  Args:
    path: to be named.
    stream: that unpacks, such as a `gzip.GzipFile` or an `Inflating`.
    declared: bytes that its header says are in it.

  Raises:
    UserError: if it goes on after what was declared, is followed by what is
      no part of it, cut off or damaged.
  """
  total = 0
  try:
    while piece := stream.read(_CHUNK):
      total += len(piece)
      if total > declared + _SLACK:
        raise errors.UserError(
          f'{path} unpacks to more than the {declared:,} bytes that it '
          'declares; copy it again, or take it out'
        )
  except (OSError, EOFError, zlib.error) as error:
    raise errors.UserError(
      f'{path} cannot be read: {explain(error)}; copy it again, or take it out'
    ) from None
  return total


def is_gzip(path: pathlib.Path) -> bool:
  """Whether a file begins as gzip does; one that is empty may be cut off."""
  with path.open('rb') as file:
    return file.read(2) in (b'\x1f\x8b', b'')


def explain(error: Exception) -> str:
  """Why a file cannot be read, in words that are not a library's."""
  if isinstance(error, EOFError):
    return 'it is cut off'
  if isinstance(error, gzip.BadGzipFile) and 'Not a gzip' in str(error):
    return 'after what gzip packed, which is whole, come other bytes'
  if isinstance(error, (gzip.BadGzipFile, zlib.error)):
    return 'it is damaged, what it holds does not agree with its checksum'
  if isinstance(error, OSError) and error.strerror:
    return error.strerror
  return ' '.join(str(error).split()) or type(error).__name__


class Inflating:
  """A zlib, gzip or raw deflate stream, unpacked a piece at a time.

  Unlike the libraries that read it later, it holds a piece and no more.
  """

  def __init__(self, stream: Readable, *, raw: bool = False):
    self._stream = stream
    # 32: whether it is zlib or gzip is found out.
    bits = -zlib.MAX_WBITS if raw else zlib.MAX_WBITS + 32
    self._inflater = zlib.decompressobj(bits)
    self._waiting = b''

  def read(self, size: int, /) -> bytes:
    """At most so many bytes; none at the end.

    Raises:
      zlib.error: if it is damaged.
      EOFError: if it is cut off.
    """
    while not self._inflater.eof:
      packed = self._waiting or self._stream.read(_CHUNK)
      if not packed:
        raise EOFError('its packed voxels are cut off')
      piece = self._inflater.decompress(packed, size)
      self._waiting = self._inflater.unconsumed_tail
      if piece:
        return piece
    return b''
