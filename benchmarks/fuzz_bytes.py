"""What may happen to any file: bits, lengths, numbers that are extreme."""

import re
import struct

import numpy as np

NUMBERS = (0, 1, 2, 7, 255, 4096, 32767, 65535, 2**31 - 1, 2**32 - 1)
BOMB = 2**27  # bytes of zeros behind what a header declares
DENSE = 2**29  # bytes of zeros that a header declares


def pick(rng, choices):
  return choices[rng.integers(len(choices))]


def any_bytes(content, rng) -> tuple[bytes, str]:
  """What may happen to any file."""
  mutable = bytearray(content)
  size = len(mutable)
  # Headers stand at the beginning.
  reach = max(1, pick(rng, (size, size, min(size, 400))))
  start = int(rng.integers(reach))
  length = int(rng.integers(1, max(2, min(size - start, 256))))
  block = bytes(mutable[start : start + length])
  how = pick(
    rng,
    (
      *('bits', 'bytes', 'number', 'cut', 'insert', 'delete', 'repeat', 'swap'),
      *('twice', 'empty', 'zeros'),
    ),
  )
  if how == 'bits':
    for place in rng.integers(reach, size=int(rng.integers(1, 9))):
      mutable[place : place + 1] = bytes(
        [(mutable[place] if size else 0) ^ (1 << int(rng.integers(8)))]
      )
  elif how == 'bytes':
    mutable[start : start + length] = rng.bytes(len(block))
  elif how == 'number':
    number = int(pick(rng, NUMBERS))
    order = pick(rng, '<>')
    kind, bits = pick(rng, (('H', 16), ('I', 32), ('Q', 64)))
    packed = struct.pack(order + kind, number % 2**bits)
    mutable[start : start + len(packed)] = packed
  elif how == 'cut':
    del mutable[start:]
  elif how == 'insert':
    mutable[start:start] = rng.bytes(length)
  elif how == 'delete':
    del mutable[start : start + length]
  elif how == 'repeat':
    mutable[start:start] = block * int(rng.integers(1, 50))
  elif how == 'swap':
    width = pick(rng, (2, 4, 8))
    length -= length % width
    turned = np.frombuffer(block[:length], np.uint8).reshape(-1, width)
    mutable[start : start + length] = turned[:, ::-1].tobytes()
  elif how == 'twice':
    mutable *= 2
  elif how == 'zeros':
    mutable[start:] = bytes(size - start)
  else:
    mutable.clear()
  return bytes(mutable), how


def other_json(content, rng):
  """Another value for a name in JSON, at any depth."""
  names = list(re.finditer(rb'"[^"]*": ?(?:"[^"]*"|[\w.+-]+|\[|\{)', content))
  if not names:
    return any_bytes(content, rng)
  found = pick(rng, names)
  name = found.group().split(b':')[0]
  values = (b'null', b'-1', b'1e999', b'[]', b'{}', b'"x"', b'9' * 400)
  value = pick(rng, (*values, b'[' * 5000, b'NaN', b'"../../x"'))
  changed = content[: found.start()] + name + b': ' + value
  return changed + content[found.end() :], f'{name.decode()}={value[:12]}'
