"""Files that lie, given to every reader: each is read, or refused in words.

  python -m benchmarks.fuzz --cases=2000 --seed=0
  python -m benchmarks.fuzz --seed=0 --case=1234 --keep=broken

Valid scans of every format, and a checkpoint, are made and mutated by number:
bits, lengths, fields of their headers. A process of its own finds and reads
them as the product does, for at most 5 s and 1 GiB each. The table says what
became of them; whatever is written in capitals is a bug:

  valid, refused   a scan, or a `UserError` of one line that names the file
  silent           a checkpoint with wrong numbers, restored without a word: bad
  CRASH, HANG      the process has ended, or has not
  MEMORY           more than 1 GiB
  UNNAMED          another exception, or a message that does not name the file
  INVALID          a scan whose voxels or affine are no numbers
  ESCAPE           a header has led to a file outside of its folder

Linux only: there a process can be asked for its peak of memory.
"""

import collections
import pathlib
import shutil
import sys
import tempfile
import time

from absl import app
from absl import flags
from absl import logging

from benchmarks import fuzz_runner
from benchmarks import fuzz_seeds
from benchmarks import turns

_CASES = flags.DEFINE_integer('cases', 2000, 'How many.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of all of them.')
_CASE = flags.DEFINE_integer('case', -1, 'One alone, by number.')
_KEEP = flags.DEFINE_string('keep', None, 'Folder to leave the one case in.')
_FORMATS = flags.DEFINE_list(
  'formats', list(fuzz_seeds.SEEDS), 'To take in turn.'
)


def print_table(results):
  """A row a format, a column an outcome."""
  counts = collections.Counter((each.format, each.outcome) for each in results)
  print('| format | ' + ' | '.join(fuzz_runner.OUTCOMES) + ' |')
  print('| --- |' + ' --- |' * len(fuzz_runner.OUTCOMES))
  for name in (*_FORMATS.value, 'all'):
    row = [
      sum(
        count
        for (format_, found), count in counts.items()
        if found == outcome and name in (format_, 'all')
      )
      for outcome in fuzz_runner.OUTCOMES
    ]
    print(f'| {name} | ' + ' | '.join(str(each or '') for each in row) + ' |')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  logging.set_verbosity(logging.WARNING)  # Orbax tells every rename
  print(turns.describe_machine('numpy', 'nibabel', 'pydicom', 'pillow'))
  numbers = range(_CASES.value) if _CASE.value < 0 else [_CASE.value]
  results, start = [], time.perf_counter()
  with tempfile.TemporaryDirectory() as root:
    for result in fuzz_runner.run(
      numbers,
      seed=_SEED.value,
      folder=pathlib.Path(root),
      formats=tuple(_FORMATS.value),
    ):
      results.append(result)
      if result.outcome not in fuzz_runner.GOOD or _CASE.value >= 0:
        print(' '.join(map(str, result)))
      if _KEEP.value and _CASE.value >= 0:
        case = pathlib.Path(root, f'case{result.number}')
        shutil.copytree(case, _KEEP.value, dirs_exist_ok=True)
  print(f'{len(results)} cases in {time.perf_counter() - start:.0f} s')
  print_table(results)
  sys.exit(any(each.outcome not in fuzz_runner.GOOD for each in results))


if __name__ == '__main__':
  app.run(main)
