"""Pictures that lie: chunks, directories and sizes."""

import struct
import zlib

from benchmarks import fuzz_bytes
from benchmarks import fuzz_seeds


def _chunk(kind, data):
  sum_ = struct.pack('>I', zlib.crc32(kind + data))
  return struct.pack('>I', len(data)) + kind + data + sum_


def png(content, rng) -> tuple[bytes, str]:
  """Chunks with the sums they should have."""
  header = list(struct.unpack('>IIBBBBB', content[16:29]))
  rest = content[33:]
  how = fuzz_bytes.pick(
    rng, ('size', 'size', 'depth', 'text', 'frames', 'pixels', 'icc')
  )
  extra = b''
  if how == 'size':
    header[rng.integers(2)] = fuzz_bytes.pick(
      rng, (0, 1, 9000, 30000, 2**31 - 1)
    )
    if rng.random() < 0.5:
      header[:2] = fuzz_bytes.pick(
        rng, ((9400, 9400), (13000, 13000), (2**31 - 1,) * 2)
      )
  elif how == 'depth':
    header[2 + rng.integers(5)] = int(
      fuzz_bytes.pick(rng, (0, 1, 2, 3, 4, 6, 16, 255))
    )
  elif how == 'text':
    extra = _chunk(
      b'zTXt', b'a\0\0' + fuzz_seeds.pack_zeros(fuzz_bytes.BOMB, bits=15)
    )
  elif how == 'icc':
    extra = _chunk(
      b'iCCP', b'a\0\0' + fuzz_seeds.pack_zeros(fuzz_bytes.BOMB, bits=15)
    )
  elif how == 'frames':
    extra = _chunk(b'acTL', struct.pack('>II', 2**31 - 1, 0))
    control = struct.pack('>IIIIIHHBB', 0, *header[:2], 0, 0, 1, 1, 0, 0)
    extra += _chunk(b'fcTL', control)
  else:
    header[:2] = 9000, 9000
    header[2:4] = 16, 0
    rest = (
      _chunk(b'IDAT', fuzz_seeds.pack_zeros(fuzz_bytes.BOMB, bits=15))
      + rest[-12:]
    )
  packed = struct.pack('>IIBBBBB', *header)
  return content[:8] + _chunk(b'IHDR', packed) + extra + rest, how


def tiff(content, rng) -> tuple[bytes, str]:
  """Entries of directories, and where the next one is."""
  content = bytearray(content)
  (place,) = struct.unpack('<I', content[4:8])
  told = []
  for _ in range(rng.integers(1, 4)):
    (count,) = struct.unpack('<H', content[place : place + 2])
    row = place + 2 + 12 * int(rng.integers(count))
    (tag,) = struct.unpack('<H', content[row : row + 2])
    part, code = fuzz_bytes.pick(
      rng, ((0, 'H'), (2, 'H'), (4, 'I'), (8, 'I'), (8, 'I'), (8, 'H'))
    )
    value = int(
      fuzz_bytes.pick(rng, (*fuzz_bytes.NUMBERS, place, 9400))
    ) % 2 ** (8 * struct.calcsize(code))
    struct.pack_into('<' + code, content, row + part, value)
    told.append(f'{tag}+{part}={value}')
  if rng.random() < 0.1:
    end = place + 2 + 12 * count
    struct.pack_into(
      '<I', content, end, int(fuzz_bytes.pick(rng, (place, 8, 2**32 - 1)))
    )
    told.append('next')
  return bytes(content), ' '.join(told)


def jpeg(content, rng) -> tuple[bytes, str]:
  """Other sizes."""
  content = bytearray(content)
  place = content.find(b'\xff\xc0') + 5
  size = fuzz_bytes.pick(
    rng, ((65535, 65535), (0, 0), (9000, 9000), (1, 65535))
  )
  struct.pack_into('>2H', content, place, *size)
  return bytes(content), f'size {size}'
