"""A short part of `benchmarks.fuzz`: files that lie are read, or refused."""

import os

import pytest

from benchmarks import fuzz_runner
from benchmarks import fuzz_seeds
from cyclegan_jax import errors

# No test of speed: a machine may be busy.
_SECONDS = 120.0


def run(folder, count, **options):
  return list(
    fuzz_runner.run(
      range(count), seed=0, folder=folder, seconds=_SECONDS, **options
    )
  )


def test_what_is_mutated_is_valid_before(tmp_path):
  results = run(tmp_path, len(fuzz_seeds.SEEDS), mutate=lambda *_: '')
  assert [each for each in results if each.outcome != 'valid'] == []
  assert {each.format for each in results} == set(fuzz_seeds.SEEDS)


def test_mutated_files_are_read_or_refused(tmp_path):
  results = run(tmp_path, 21 * len(fuzz_seeds.SEEDS))
  bad = [each for each in results if each.outcome not in fuzz_runner.GOOD]
  assert bad == []
  assert {'valid', 'refused'} <= {each.outcome for each in results}


def abort(case):
  os.abort()


def fail(case):
  raise KeyError(case)


def fill(case):
  return 'valid', f'{len(bytearray(b"x") * 2**31)} bytes'


def lead_nowhere(case):
  return fuzz_runner._judge(case, errors.UserError('of no file'))


@pytest.mark.parametrize(
  'reader,outcome',
  [
    (abort, 'CRASH'),
    (fail, 'UNNAMED'),
    (fill, 'MEMORY'),
    (lead_nowhere, 'UNNAMED'),
  ],
)
def test_a_reader_that_fails_is_noticed(tmp_path, reader, outcome):
  readers = {'scans': f'tests.fuzz_test:{reader.__name__}'}
  (result,) = run(tmp_path, 1, formats=('npy',), readers=readers)
  assert result.outcome == outcome, result
