"""Headers of NRRD and MetaImage files, checked before ITK believes them.

ITK's readers make room for whatever is declared, follow a header to any other
file, and take zeros for data that are missing.
"""

from collections.abc import Sequence
import gzip
import math
import pathlib
import re
from typing import BinaryIO
from typing import NamedTuple

from cyclegan_jax import errors
from cyclegan_jax.mri.formats import limits

_MOST = 2**20  # bytes of a header
_LONGEST = 4096  # bytes of a line: MetaIO's buffers are fixed
_DIMENSIONS = range(1, 9)  # MetaIO's arrays, too
_NRRD_BYTES = {  # of a value, by all its names
  **dict.fromkeys(('int8', 'uint8', 'int8_t', 'uint8_t', 'uchar', 'char'), 1),
  **dict.fromkeys(('signed char', 'unsigned char'), 1),
  **dict.fromkeys(('int16', 'uint16', 'int16_t', 'uint16_t', 'short'), 2),
  **dict.fromkeys(('short int', 'signed short', 'signed short int'), 2),
  **dict.fromkeys(('ushort', 'unsigned short', 'unsigned short int'), 2),
  **dict.fromkeys(('int32', 'uint32', 'int32_t', 'uint32_t', 'int'), 4),
  **dict.fromkeys(('signed int', 'uint', 'unsigned int', 'float'), 4),
  **dict.fromkeys(('int64', 'uint64', 'int64_t', 'uint64_t', 'longlong'), 8),
  **dict.fromkeys(('long long', 'long long int', 'signed long long'), 8),
  **dict.fromkeys(('signed long long int', 'ulonglong', 'double'), 8),
  **dict.fromkeys(('unsigned long long', 'unsigned long long int'), 8),
}
_META_BYTES = {
  **dict.fromkeys(('MET_CHAR', 'MET_UCHAR'), 1),
  **dict.fromkeys(('MET_SHORT', 'MET_USHORT'), 2),
  **dict.fromkeys(('MET_INT', 'MET_UINT', 'MET_FLOAT'), 4),
  **dict.fromkeys(('MET_LONG', 'MET_ULONG'), 4),  # or 8, by the system
  **dict.fromkeys(('MET_LONG_LONG', 'MET_ULONG_LONG', 'MET_DOUBLE'), 8),
}


class _Header(NamedTuple):
  """What a header says of the voxels: where, how many, how packed.

  `kind` is 'raw', 'packed', 'text' or 'hex'; `packed` the bytes of what is
  packed, 0 if it is not said; `skip` the bytes before them, -1 if they end the
  file; `lines` the lines before them; `start` the byte after the header.
  """

  named: str
  shape: tuple[int, ...]
  itemsize: int
  kind: str
  packed: int
  skip: int
  lines: int
  start: int


def check(path: pathlib.Path):
  """Refuses a file that ITK is not to be handed.

  Args:
    path: of a .nrrd, .nhdr, .mha or .mhd file.

  Raises:
    UserError: if its header cannot be read, leads elsewhere, or declares more
      than is read or than there is.
  """
  header = _read_header(path)
  data = _locate(path, header)
  limits.check_file(data)
  limits.check_shape(path, header.shape)
  declared = math.prod(header.shape) * header.itemsize
  try:
    with data.open('rb') as file:
      stored = data.stat().st_size
      file.seek(header.start if data == path else 0)
      for _ in range(min(header.lines, stored)):
        if not file.readline(_MOST):
          break
      stored -= file.tell()
      if header.kind == 'packed':
        limits.check_stored(data, header.packed, stored)
        limits.check_packed(path, declared, stored)
        stored = _measure(path, file, declared + max(header.skip, 0))
      elif header.kind == 'text':  # a digit and a space
        declared = 2 * math.prod(header.shape) - 1
      elif header.kind == 'hex':
        declared *= 2
  except OSError as error:
    reason = error.strerror or error
    raise errors.UserError(f'{data} cannot be read: {reason}') from None
  limits.check_stored(path, declared + max(header.skip, 0), stored)


def _measure(path, file: BinaryIO, declared):
  nrrd = path.suffix.lower() in ('.nrrd', '.nhdr')
  stream = gzip.GzipFile(fileobj=file) if nrrd else limits.Inflating(file)
  return limits.measure(path, stream, declared)


def _locate(path, header):
  if not header.named:
    return path
  named = header.named
  if (
    pathlib.PurePath(named).name != named
    or not named.isprintable()
    or re.search(r'[\\/:%]', named)
    or named.split()[0] in ('LIST', '..')
  ):
    raise errors.UserError(
      f'{path} leads to {named[:80]!r}; its voxels must be one file beside it, '
      'named without a folder or a pattern: save it as one file'
    )
  return path.with_name(named)


def _read_header(path) -> _Header:
  try:
    with path.open('rb') as file:
      content = file.read(_MOST)
  except OSError as error:
    raise errors.UserError(f'{path} cannot be read: {error.strerror}') from None
  nrrd = path.suffix.lower() in ('.nrrd', '.nhdr')
  try:
    return (_parse_nrrd if nrrd else _parse_meta)(content)
  except (ValueError, KeyError, OverflowError) as error:
    reason = f'no {error}' if isinstance(error, KeyError) else error
    raise errors.UserError(
      f'{path} cannot be read: its header has {reason}; copy it again, or take '
      'it out'
    ) from None


def _parse_nrrd(content) -> _Header:
  lines, start = _split(content, b'')
  if not re.fullmatch(rb'NRRD\d{4}', lines[0]):
    raise ValueError('no NRRD magic')
  pairs = []
  for line in lines[1:]:
    name, colon, value = line.decode('latin-1').partition(':')
    if line.startswith(b'#') or value.startswith('='):  # comments, key:=value
      continue
    if not colon:
      raise ValueError(f'the line {line[:40]!r}')
    pairs.append((name.lower().replace(' ', ''), value.strip()))
  fields = _unique(pairs)
  encoding = fields['encoding'].lower()
  kinds = {
    **dict(raw='raw', gz='packed', gzip='packed', hex='hex'),
    **dict(txt='text', text='text', ascii='text'),
  }
  if encoding not in kinds:
    raise ValueError(f'the encoding {encoding[:40]!r}, not raw or gzip')
  kind = fields['type'].lower()
  if kind not in _NRRD_BYTES:
    raise ValueError(f'the type {kind[:40]!r}')
  header = _Header(
    named=fields.get('datafile', ''),
    shape=_sizes(fields['sizes'], fields['dimension']),
    itemsize=_NRRD_BYTES[kind],
    kind=kinds[encoding],
    packed=0,
    skip=int(fields.get('byteskip', 0)),
    lines=int(fields.get('lineskip', 0)),
    start=start,
  )
  if header.skip < (-1 if header.kind == 'raw' else 0) or header.lines < 0:
    raise ValueError('a negative skip')
  return header


def _parse_meta(content) -> _Header:
  lines, start = _split(content, b'ElementDataFile')
  pairs = []
  for line in filter(None, map(bytes.strip, lines)):
    found = re.fullmatch(r'([^=:]+?)\s*[=:]\s*(.*)', line.decode('latin-1'))
    if not found:
      raise ValueError(f'the line {line[:40]!r}')
    pairs.append(found.groups())
  fields = _unique(pairs)
  named = fields['ElementDataFile']
  kind = fields['ElementType']
  if kind not in _META_BYTES:
    raise ValueError(f'the type {kind[:40]!r}')
  binary = fields.get('BinaryData', 'True').lower() in ('true', '1')
  packed = fields.get('CompressedData', 'False').lower() in ('true', '1')
  channels = int(fields.get('ElementNumberOfChannels', 1))
  if channels < 1:
    raise ValueError(f'{channels} channels')
  header = _Header(
    named='' if named.lower() == 'local' else named or 'LIST',
    shape=(*_sizes(fields['DimSize'], fields['NDims']), channels),
    itemsize=_META_BYTES[kind],
    kind='packed' if packed else 'raw' if binary else 'text',
    packed=int(fields.get('CompressedDataSize', 0)),
    skip=int(fields.get('HeaderSize', 0)),
    lines=0,
    start=start,
  )
  if min(header.packed, header.skip + 1) < 0:
    raise ValueError('a negative size')
  return header


def _split(content, last) -> tuple[list[bytes], int]:
  """Lines up to an empty one or the one named, and the byte after it."""
  lines, start = [], 0
  while start < len(content):
    end = content.find(b'\n', start)
    end = len(content) if end < 0 else end
    line = content[start:end].rstrip(b'\r')
    start = end + 1
    if len(line) > _LONGEST:
      raise ValueError(f'a line of {len(line)} bytes')
    if not last and not line:
      return lines, start
    lines.append(line)
    if last and line.lstrip().startswith(last):
      return lines, start
  if len(content) >= _MOST or not lines:
    raise ValueError('no end')
  return lines, start


def _unique(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
  """As a dict; of a field given twice nobody knows which one ITK takes."""
  fields = dict(pairs)
  if len(fields) != len(pairs):
    raise ValueError('a field twice')
  return fields


def _sizes(text, dimension) -> tuple[int, ...]:
  sizes = tuple(int(each) for each in text.split())
  if int(dimension) not in _DIMENSIONS or len(sizes) != int(dimension):
    raise ValueError(f'{dimension[:20]!r} dimensions and {len(sizes)} sizes')
  if min(sizes) < 1:
    raise ValueError(f'the sizes {sizes}')
  return sizes
