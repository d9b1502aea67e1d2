"""GDCM in a process of its own, for a broken file can make it end that.

  python -m cyclegan_jax.mri.formats.gdcm_process

is the process: it takes paths as JSON, a line each, and gives a line of JSON
with the bytes of the pixels after it.
"""

import atexit
import contextlib
import functools
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any
from typing import BinaryIO

import numpy as np

from cyclegan_jax import errors


def decode(path: pathlib.Path) -> np.ndarray:
  """Pixels of a DICOM file that GDCM alone can read, in their stored type.

  Args:
    path: of a file that has been checked, for here nothing is.

  Raises:
    UserError: if it cannot be read, or GDCM has crashed.
  """
  process: Any = _start()  # with its pipes
  try:
    process.stdin.write(json.dumps(str(path)).encode() + b'\n')
    process.stdin.flush()
    answer = json.loads(process.stdout.readline() or 'null')
  except BrokenPipeError:
    answer = None
  if answer is None:
    _stop(process)
    _start.cache_clear()
    answer = 'GDCM, which decodes lossless JPEG, has crashed on it'
  if isinstance(answer, str):
    raise errors.UserError(
      f'{path} cannot be read as DICOM: {answer}; copy it again, or take it out'
    )
  kind, shape = np.dtype(answer['kind']), answer['shape']
  content = process.stdout.read(math.prod(shape) * kind.itemsize)
  return np.frombuffer(content, kind).reshape(shape)


@functools.cache
def _start():
  """The process, which is kept: it takes half a second to begin."""
  # Started from anywhere, it finds what this one has found.
  place = os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))
  process = subprocess.Popen(
    [sys.executable, '-m', 'cyclegan_jax.mri.formats.gdcm_process'],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    env=os.environ | {'PYTHONPATH': place},
  )
  atexit.register(_stop, process)
  return process


def _stop(process):
  for pipe in (process.stdin, process.stdout):
    with contextlib.suppress(BrokenPipeError):  # of one that has ended
      pipe.close()
  process.wait()


def _serve(source: BinaryIO, target: BinaryIO):
  """Answers lines with pixels, or with what is wrong, until there is none."""
  from pydicom import pixels as pixels_lib

  from cyclegan_jax.mri.formats import dicom_file

  for line in source:
    path = pathlib.Path(json.loads(line))
    try:
      dataset = dicom_file.open_file(path)
      pixels = pixels_lib.pixel_array(dataset, decoding_plugin='gdcm')
      content = np.ascontiguousarray(pixels).tobytes()
      answer = {'kind': pixels.dtype.str, 'shape': pixels.shape}
    except Exception as error:
      content, answer = b'', ' '.join(str(error).split()) or repr(error)
    target.write(json.dumps(answer).encode() + b'\n' + content)
    target.flush()


if __name__ == '__main__':
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its parent
  _output = os.fdopen(os.dup(1), 'wb')
  os.dup2(2, 1)  # for whatever GDCM prints
  _serve(sys.stdin.buffer, _output)
