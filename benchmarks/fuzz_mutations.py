"""Valid files made into ones that lie: fields of headers, by format."""

from collections.abc import Callable
import functools
import gzip
import pathlib
import pickle
import struct
import zlib

import numpy as np
import pydicom

from benchmarks import fuzz_bytes
from benchmarks import fuzz_pictures
from benchmarks import fuzz_seeds

CANARY = b'\x5a'  # what no file may lead to is made of
_WHOLE = (*fuzz_bytes.NUMBERS, -1, -(2**31), 2**63 - 1, -(2**63))
_REAL = (0.0, -1.0, 1e-30, 1e30, -1e30, 1e300, np.nan, np.inf, -np.inf, 352.0)
_PATHS = (
  *('../outside.raw', '/etc/passwd', '../../etc/passwd', '/dev/zero'),
  *('LIST', 'x%03d.raw 1 1000000000 1', '.', '..', '', 'x\\..\\y', 'none.raw'),
)
_WORDS = (
  *('', '0', '-1', 'nan', 'inf', '1e400', 'x', '%s%n', '9' * 40, '1 ' * 3000),
  *('\0', 'True', 'raw', 'gzip', 'hex', 'ascii', 'double', 'MET_DOUBLE'),
  *('99999 99999 99999', '0 0 0', '-5 4 3', '1 1 1 1 1 1 1 1 1 1 1 1'),
  *('(nan,nan,nan) (0,0,0) (1,0,0)', 'none', '\x1b[31m', 'A' * 70_000),
)


_ADDED = (  # fields of MetaImage, and of NRRD
  (
    *('HeaderSize', 'CompressedDataSize', 'BinaryData', 'NDims', 'Comment'),
    *('CompressedData', 'ElementNumberOfChannels', 'Name', 'DimSize'),
  ),
  ('byte skip', 'line skip', 'encoding', 'endian', 'sizes', 'content', 'kinds'),
)


def mutate(name: str, folder: pathlib.Path, rng: np.random.Generator) -> str:
  """Mutates a seed in place; returns in a word how."""
  paths = sorted(path for path in folder.rglob('*') if path.is_file())
  if name == 'checkpoint':
    path = paths[rng.integers(len(paths))]
    chosen = fuzz_bytes.any_bytes
    if path.read_bytes()[:1] == b'{':
      chosen = fuzz_bytes.pick(
        rng, (fuzz_bytes.any_bytes, fuzz_bytes.other_json)
      )
    if rng.random() < 0.1:
      path.unlink()
      return f'{path.name} deleted'
  else:
    path = (
      paths[0] if len(paths) == 1 else fuzz_bytes.pick(rng, (*paths, paths[0]))
    )
    chosen = fuzz_bytes.pick(rng, (fuzz_bytes.any_bytes, *[_FIELDS[name]] * 3))
    if path.suffix in ('.raw', '.zraw'):
      chosen = fuzz_bytes.any_bytes
  content, how = chosen(path.read_bytes(), rng)
  path.write_bytes(content)
  return how


def _binary(fields, content, rng) -> tuple[bytes, str]:
  """Extreme values for some of {name: (place, struct code)}."""
  content = bytearray(content)
  told = []
  for _ in range(rng.integers(1, 4)):
    name = fuzz_bytes.pick(rng, list(fields))
    place, code = fields[name]
    order = fuzz_bytes.pick(rng, '<<<>')
    if code in 'fd':
      value = float(fuzz_bytes.pick(rng, _REAL))
      if code == 'f':
        value = float(np.clip(value, -3e38, 3e38))  # NaN stays
      packed = struct.pack(order + code, value)
    else:
      value = int(fuzz_bytes.pick(rng, _WHOLE))
      bits = 8 * struct.calcsize('<' + code)
      packed = struct.pack(order + code.upper(), value % 2**bits)
    content[place : place + len(packed)] = packed
    told.append(f'{name}={value}')
  return bytes(content), ' '.join(told)


_NIFTI_1 = {
  **{f'dim{i}': (40 + 2 * i, 'h') for i in range(8)},
  **{f'pixdim{i}': (76 + 4 * i, 'f') for i in range(8)},
  **{f'quatern{i}': (256 + 4 * i, 'f') for i in range(6)},
  **{f'srow{i}': (280 + 4 * i, 'f') for i in range(12)},
  **dict(sizeof_hdr=(0, 'i'), datatype=(70, 'h'), bitpix=(72, 'h')),
  **dict(vox_offset=(108, 'f'), slope=(112, 'f'), inter=(116, 'f')),
  **dict(qform_code=(252, 'h'), sform_code=(254, 'h'), magic=(344, 'i')),
  **dict(extension=(348, 'i'), esize=(352, 'i'), ecode=(356, 'i')),
}
_NIFTI_2 = {
  **{f'dim{i}': (16 + 8 * i, 'q') for i in range(8)},
  **{f'pixdim{i}': (104 + 8 * i, 'd') for i in range(8)},
  **{f'quatern{i}': (352 + 8 * i, 'd') for i in range(6)},
  **{f'srow{i}': (400 + 8 * i, 'd') for i in range(12)},
  **dict(sizeof_hdr=(0, 'i'), datatype=(12, 'h'), bitpix=(14, 'h')),
  **dict(vox_offset=(168, 'q'), slope=(176, 'd'), inter=(184, 'd')),
  **dict(qform_code=(344, 'i'), sform_code=(348, 'i'), magic=(4, 'q')),
  **dict(extension=(540, 'i'), esize=(544, 'i'), ecode=(548, 'i')),
}


def _nifti_gz(content, rng):
  plain = gzip.decompress(content)
  if rng.random() < 0.05:  # 512 x 1024 x 1024 of one byte each, and scaled
    header = bytearray(plain[:352])
    struct.pack_into('<8h', header, 40, 3, 512, 1024, 1024, 1, 1, 1, 1)
    struct.pack_into('<2h', header, 70, 2, 8)
    struct.pack_into('<3f', header, 108, 352, 0.5, 1)
    zeros = fuzz_seeds.pack_zeros(fuzz_bytes.DENSE)
    return gzip.compress(header, mtime=0) + zeros, 'dense'
  if rng.random() < 0.15:
    return content + fuzz_seeds.pack_zeros(fuzz_bytes.BOMB), 'bomb'
  plain, how = fuzz_bytes.pick(rng, (fuzz_bytes.any_bytes, *[_nifti_1] * 3))(
    plain, rng
  )
  packed = gzip.compress(plain, mtime=0)
  if rng.random() < 0.1:
    return packed + fuzz_seeds.pack_zeros(fuzz_bytes.BOMB), f'{how} bomb'
  return packed, how


def _text(content, rng):
  """Fields of NRRD and MetaImage: other values, other paths, twice, gone."""
  nrrd = content.startswith(b'NRRD')
  end = content.find(b'\n\n') if nrrd else content.find(b'LOCAL')
  end = len(content) if end < 0 else end
  lines, data = content[:end].split(b'\n'), content[end:]
  row = int(rng.integers(len(lines)))
  mark = b':' if nrrd else b'='
  name = lines[row].split(mark)[0]
  how = fuzz_bytes.pick(
    rng, ('value', 'value', 'value', 'path', 'twice', 'gone', 'add')
  )
  value = fuzz_bytes.pick(rng, _WORDS).encode()
  if how == 'value':
    lines[row] = name + mark + b' ' + value
  elif how == 'path':
    value = fuzz_bytes.pick(rng, _PATHS).encode()
    if nrrd:
      lines = [line for line in lines if not line.startswith(b'data file')]
      lines.append(b'data file: ' + value)
    else:
      lines[-1] = b'ElementDataFile = ' + value
      data = data.removeprefix(b'LOCAL')
  elif how == 'twice':
    lines.insert(row, lines[row])
  elif how == 'gone':
    del lines[row]
  else:
    name = fuzz_bytes.pick(rng, _ADDED[nrrd]).encode()
    lines.insert(max(1, row), name + mark + b' ' + value)
  if b'gzip' in content[:end] and rng.random() < 0.1:
    data = b'\n\n' + fuzz_seeds.pack_zeros(fuzz_bytes.DENSE)
    if rng.random() < 0.5:
      lines = [
        b'sizes: 512 1024 512' if line.startswith(b'sizes') else line
        for line in content[:end].split(b'\n')
      ]
    how += ' bomb'
  elif b'CompressedData = True' in content and rng.random() < 0.1:
    data = b'LOCAL\n' + fuzz_seeds.pack_zeros(fuzz_bytes.BOMB, bits=15)
    how += ' bomb'
  return b'\n'.join(lines) + data, f'{how} {name[:20]!r} {value[:20]!r}'


_DICOM_VALUES = {
  'Rows': fuzz_bytes.NUMBERS[:8],
  'Columns': fuzz_bytes.NUMBERS[:8],
  'BitsAllocated': (0, 1, 7, 8, 12, 32, 64, 65535),
  'BitsStored': (0, 1, 8, 12, 17, 65535),
  'HighBit': (0, 7, 31, 65535),
  'PixelRepresentation': (0, 1, 2, 65535),
  'SamplesPerPixel': (0, 2, 3, 65535),
  'NumberOfFrames': ('0', '-1', '2', '1000', '2147483647', 'x', ''),
  'PhotometricInterpretation': ('RGB', 'PALETTE COLOR', 'MONOCHROME1', 'x'),
  'RescaleSlope': ('nan', 'inf', '1e308', '0', 'x', ''),
  'RescaleIntercept': ('nan', '-inf', '1e308', 'x'),
  'PixelSpacing': ('nan\\nan', '0\\0', '-1\\1', '1e300\\1', '1', '', 'x\\y'),
  'SliceThickness': ('nan', '-1', '0', '1e300', 'x'),
  'ImagePositionPatient': ('nan\\0\\0', '1e308\\0\\0', '1\\2', '', 'x\\y\\z'),
  'ImageOrientationPatient': (
    *('0\\0\\0\\0\\0\\0', '1\\0\\0\\1\\0\\0', 'nan\\0\\0\\0\\1\\0', '1'),
    '1e200\\0\\0\\0\\1e-200\\0',
  ),
  'SpecificCharacterSet': ('ISO_IR 192', 'ISO 2022 IR 87', 'x', '\\'),
  'SeriesDescription': ('\x1b[31mred\nline', '\0', 'x' * 5000),
  'SOPClassUID': ('1.2.840.10008.5.1.4.1.1.66', 'x', ''),
  'SeriesInstanceUID': ('', 'x', '1' * 100),
  'TransferSyntaxUID': (
    *('1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.2'),
    *('1.2.840.10008.1.2.1.99', '1.2.840.10008.1.2.5', '1.2.3', ''),
    *('1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.70', '1.2.840.113619.5.2'),
    *('1.2.840.10008.1.2.4.80', '1.2.840.10008.1.2.4.90'),
    *('1.2.840.10008.1.2.4.100', '1.2.840.10008.1.2.4.201'),
  ),
}


def _dicom(content, rng):
  """Values of elements, as bytes: whatever pydicom would not write."""
  deflated = content.find(b'1.2.840.10008.1.2.1.99')
  start = 0
  if deflated >= 0:
    start = 144 + struct.unpack('<I', content[140:144])[0]
    if rng.random() < 0.1:
      bomb = fuzz_seeds.pack_zeros(3 * 2**27, bits=-15)
      return content[:start] + bomb, 'bomb'
    content = content[:start] + zlib.decompress(content[start:], -15)
  told = []
  for _ in range(rng.integers(1, 4)):
    keyword = fuzz_bytes.pick(rng, list(_DICOM_VALUES))
    value = fuzz_bytes.pick(rng, _DICOM_VALUES[keyword])
    told.append(f'{keyword}={str(value)[:20]!r}')
    tag = pydicom.tag.Tag(keyword)
    place = content.find(struct.pack('<2H', tag.group, tag.element))
    if place < 0:
      continue
    end = place + 8 + struct.unpack('<H', content[place + 6 : place + 8])[0]
    kind = content[place + 4 : place + 6]
    if isinstance(value, int):
      packed = struct.pack('<H', value)
    else:
      packed = value.encode()
      packed += b' ' * (len(packed) % 2)
    if rng.random() < 0.1:
      packed = b''  # and its length stays, or the element goes
    header = content[place : place + 4] + kind + struct.pack('<H', len(packed))
    content = content[:place] + header + packed + content[end:]
  if deflated >= 0:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(content[start:]) + packer.flush()
    content = content[:start] + packed
  return content, ' '.join(told)


def _npy(content, rng):
  header = fuzz_bytes.pick(
    rng,
    (
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999, 99999, 99)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4, 4)}",
      "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2**60)}",
      "{'descr': '|O', 'fortran_order': False, 'shape': (12, 14, 10)}",
      "{'descr': '|V0', 'fortran_order': False, 'shape': (2147483647,)}",
      "{'descr': '<f16', 'fortran_order': False, 'shape': (2, 3, 4)}",
      "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (2, 3, 4)}",
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3, 4)}",
      "{'descr': ('<f4', (9, 9)), 'fortran_order': False, 'shape': (2, 3)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 14, 10)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 14, 10)}",
      "{'descr': '<f2', 'fortran_order': True, 'shape': (12, 14, 10)}",
      "{'shape': " + '(' * 4000,
      'exit()',
      'pickle',
      'zip',
    ),
  )
  if header == 'pickle':
    return pickle.dumps({'a': 1}), header
  if header == 'zip':
    return b'PK\x03\x04' + content, header
  version = fuzz_bytes.pick(rng, (b'\1\0', b'\2\0', b'\3\0', b'\x09\0'))
  code = '<H' if version == b'\1\0' else '<I'
  text = header.encode() + b'\n'
  start = b'\x93NUMPY' + version + struct.pack(code, len(text)) + text
  return start + content[128:], header[:60]


_nifti_1 = functools.partial(_binary, _NIFTI_1)
_FIELDS: dict[str, Callable] = {
  'nifti': _nifti_1,
  'nifti gz': _nifti_gz,
  'nifti 2': functools.partial(_binary, _NIFTI_2),
  **{name: _dicom for name in fuzz_seeds.SEEDS if name.startswith('dicom')},
  **dict.fromkeys(('nrrd', 'nrrd gz', 'nhdr', 'mha', 'mha zlib', 'mhd'), _text),
  'npy': _npy,
  'png 8': fuzz_pictures.png,
  'png 16': fuzz_pictures.png,
  'jpeg': fuzz_pictures.jpeg,
  **{
    name: fuzz_pictures.tiff
    for name in fuzz_seeds.SEEDS
    if name.startswith('tiff')
  },
}
