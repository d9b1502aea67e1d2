"""Reads mutated scans in a process of its own, and tells what became of each.

  python -m benchmarks.fuzz_runner benchmarks.fuzz_runner:read_scans

is that process: a folder a line comes in, what became of it goes out as JSON.
"""

import importlib
import json
import os
import pathlib
import resource
import selectors
import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np

from benchmarks import fuzz_mutations
from benchmarks import fuzz_seeds

SECONDS = 5.0  # after which a case hangs
MEMORY = 2**10  # MiB that a case may take
_ADDRESSES = 8 * 2**30  # bytes, so that a bad case does not end the machine
_START = 120.0  # seconds for a process to start
READERS = {  # what reads a case there, by kind
  'scans': 'benchmarks.fuzz_runner:read_scans',
  'checkpoints': 'benchmarks.fuzz_runner:read_checkpoint',
}
GOOD = ('valid', 'refused')
OUTCOMES = (*GOOD, 'CRASH', 'HANG', 'MEMORY', 'UNNAMED', 'INVALID', 'ESCAPE')


class Result(NamedTuple):
  """What became of a case, one of `OUTCOMES`, and a line about it."""

  number: int
  format: str
  mutation: str
  outcome: str
  detail: str


def run(
  numbers,
  *,
  seed: int,
  folder: pathlib.Path,
  formats=tuple(fuzz_seeds.SEEDS),
  mutate=fuzz_mutations.mutate,
  seconds: float = SECONDS,
  readers=READERS,
):
  """Yields the `Result` of each case.

  Args:
    numbers: of cases; a number, a seed and formats make the same case anywhere,
      but for checkpoints, whose files Orbax names anew.
    seed: of all.
    folder: to work in.
    formats: of `fuzz_seeds.SEEDS`, taken in turn.
    mutate: what is done to the folder of a case, as `fuzz_mutations.mutate`.
    seconds: after which a case hangs.
    readers: as `READERS`.
  """
  for name in formats:
    if not (folder / 'seeds' / name).exists():
      fuzz_seeds.write(name, folder / 'seeds' / name)
  # What a header that leads out of its folder would find.
  (folder / 'outside.raw').write_bytes(fuzz_mutations.CANARY * 10_000)
  workers = {}
  try:
    for number in numbers:
      name = formats[number % len(formats)]
      case = folder / f'case{number}'
      shutil.rmtree(case, ignore_errors=True)
      shutil.copytree(folder / 'seeds' / name, case)
      rng = np.random.default_rng((seed, number))
      mutation = mutate(name, case, rng)
      kind = 'checkpoints' if name == 'checkpoint' else 'scans'
      if kind not in workers or not workers[kind].alive:
        workers[kind] = Worker(readers[kind], folder)
      outcome, detail = workers[kind].read(case, seconds)
      yield Result(number, name, mutation, outcome, detail)
      shutil.rmtree(case)
  finally:
    for worker in workers.values():
      worker.stop()


class Worker:
  """A process that reads scans until one ends it."""

  def __init__(self, reader: str, folder: pathlib.Path):
    self._process = subprocess.Popen(
      [sys.executable, '-m', 'benchmarks.fuzz_runner', reader],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      cwd=pathlib.Path(__file__).parent.parent,
      env=os.environ | {'TMPDIR': str(folder), 'JAX_PLATFORMS': 'cpu'},
    )
    self.alive = True
    if not self._receive(_START):
      raise RuntimeError(f'the process of {reader} does not start')

  def read(self, case: pathlib.Path, seconds: float) -> tuple[str, str]:
    """The outcome of a case, and a line about it."""
    self._process.stdin.write(f'{case}\n'.encode())
    self._process.stdin.flush()
    answer = self._receive(seconds)
    if answer:
      return tuple(json.loads(answer))
    hangs = self._process.poll() is None
    self.stop()
    if hangs:
      return 'HANG', f'more than {seconds:.0f} s'
    return 'CRASH', f'exit status {self._process.returncode}'

  def stop(self):
    self.alive = False
    self._process.kill()
    self._process.wait()
    self._process.stdin.close()
    self._process.stdout.close()

  def _receive(self, seconds):
    """A line, or nothing if the time is over or the process."""
    with selectors.DefaultSelector() as selector:
      selector.register(self._process.stdout, selectors.EVENT_READ)
      if not selector.select(seconds):
        return b''
    line = self._process.stdout.readline()
    if not line:
      self._process.wait()
    return line


def read_scans(case: pathlib.Path) -> tuple[str, str]:
  """Finds and reads what is in a folder, as training and translation do."""
  from cyclegan_jax import errors
  from cyclegan_jax.mri import scans
  from cyclegan_jax.mri.formats import dispatch

  try:
    scans.check_source(case)
    volumes = [dispatch.read_scan(scan) for scan in scans.find_scans(case)]
  except errors.UserError as error:
    return _judge(case, error)
  for volume in volumes:
    voxels = volume.voxels
    sound = (
      voxels.ndim == 3
      and voxels.size
      and voxels.dtype.kind in 'iuf'
      and np.isfinite(voxels).all()
      and np.isfinite(volume.affine).all()
      and np.linalg.det(volume.affine[:3, :3])
    )
    if not sound:
      return 'INVALID', f'{voxels.dtype} {voxels.shape}'
    if set(np.unique(voxels).tobytes()) == set(fuzz_mutations.CANARY):
      return 'ESCAPE', 'a header has led out of its folder'
  return 'valid', ''


def read_checkpoint(case: pathlib.Path) -> tuple[str, str]:
  """Reads a checkpoint; wrong numbers without a word are 'silent'."""
  from benchmarks import fuzz_checkpoints
  from cyclegan_jax import errors

  try:
    whole = fuzz_checkpoints.read(case)
  except errors.UserError as error:
    return _judge(case, error)
  return ('valid' if whole else 'silent'), ''


def _judge(case, error):
  """A refusal is one line that names the file, its folder or the workdir."""
  text = str(error)
  if '\n' in text or case.name not in text or not text.isprintable():
    return 'UNNAMED', text
  return 'refused', text


def _peak():
  """MiB that the process took at most since the last `_forget`."""
  for line in pathlib.Path('/proc/self/status').read_text().splitlines():
    if line.startswith('VmHWM'):
      return int(line.split()[1]) / 1024
  return 0.0


def _serve(read):
  """Reads the folders that are named on standard input, one a line."""
  answers = os.fdopen(os.dup(1), 'w')
  os.dup2(2, 1)  # whatever libraries print
  answers.write('ready\n')
  answers.flush()
  for line in sys.stdin:
    # Linux: the peak is forgotten, and becomes what is taken now.
    pathlib.Path('/proc/self/clear_refs').write_text('5')
    before = _peak()
    try:
      outcome, detail = read(pathlib.Path(line.rstrip('\n')))
    except BaseException as error:
      place = error.__traceback__
      while place and place.tb_next:
        place = place.tb_next
      where = f'{place.tb_frame.f_code.co_filename}:{place.tb_lineno}'
      outcome, detail = 'UNNAMED', f'{error!r} at {where}'
    taken = _peak() - before
    if taken > MEMORY:
      outcome, detail = 'MEMORY', f'{taken:.0f} MiB; {outcome}: {detail}'
    answers.write(json.dumps((outcome, detail)) + '\n')
    answers.flush()


if __name__ == '__main__':
  name, function = sys.argv[1].split(':')
  if function == read_checkpoint.__name__:
    import cyclegan_jax.runtime.checkpoint  # noqa: F401
  else:
    for module in ('nifti', 'itk', 'npy', 'picture', 'dicom'):
      importlib.import_module(f'cyclegan_jax.mri.formats.{module}')
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
  _serve(getattr(importlib.import_module(name), function))
