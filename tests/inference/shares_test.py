"""Who takes what of a cohort: every scan one, whatever started the others."""

import collections

import pytest

from cyclegan_jax import errors
from cyclegan_jax.inference import shares


def array(task, *, first=0, last=3, count=4, step=1):
  values = dict(ID=task, MIN=first, MAX=last, COUNT=count, STEP=step)
  return {f'SLURM_ARRAY_TASK_{k}': str(v) for k, v in values.items()}


def step(task, count):
  return {
    'SLURM_PROCID': str(task),
    'SLURM_STEP_NUM_TASKS': str(count),
    'SLURM_STEP_NODELIST': 'n[1-2]',
    'SLURM_NTASKS': '64',
  }


def mpi(rank, size):
  return {'OMPI_COMM_WORLD_RANK': str(rank), 'OMPI_COMM_WORLD_SIZE': str(size)}


# What `sbatch --ntasks=2` and `salloc --ntasks=2` set without any `srun`.
_ALLOCATION = {
  'SLURM_JOB_ID': '7',
  'SLURM_NTASKS': '2',
  'SLURM_NPROCS': '2',
  'SLURM_PROCID': '0',
  'SLURM_JOB_NODELIST': 'n1',
}


@pytest.mark.parametrize(
  'environment,expected',
  [
    ({}, (0, 1)),
    (_ALLOCATION, (0, 1)),
    (array(0), (0, 4)),
    (array(3), (3, 4)),
    (array(1, first=1, last=4), (0, 4)),
    (array(4, first=1, last=4), (3, 4)),
    (array(6, last=6, step=2), (3, 4)),
    (array(6, last=7, step=2), (3, 4)),  # --array=0-7:2
    (array(11, first=5, last=11, step=3, count=3), (2, 3)),
    (array(5, first=5, last=5, count=1), (0, 1)),
    (step(0, 1), (0, 1)),  # an interactive step
    (step(2, 3), (2, 3)),
    (_ALLOCATION | step(1, 2), (1, 2)),
    (_ALLOCATION | {'SLURM_STEP_NODELIST': 'n1'}, (0, 2)),
    (_ALLOCATION | array(2), (2, 4)),
    (array(2) | step(1, 3), (7, 12)),
    (mpi(3, 5), (3, 5)),
    (step(1, 2) | mpi(5, 8), (5, 8)),  # mpirun starts a daemon on each host
    (array(1) | mpi(1, 2), (3, 8)),
  ],
)
def test_schedulers_tell_a_process_its_share(environment, expected):
  share = shares.choose(None, environment)
  assert share[:2] == expected
  assert bool(share.origin) == (share.count > 1)


def test_an_array_of_steps_is_divided_by_both():
  every = [
    shares.derive(array(task, first=1, last=7, step=2) | step(rank, 3))
    for task in (1, 3, 5, 7)
    for rank in range(3)
  ]
  assert [share.index for share in every] == list(range(12))
  assert every[4].origin == 'SLURM array task 3, SLURM task 1'


@pytest.mark.parametrize(
  'environment,message',
  [
    (array(3, first=1, last=7, count=3), 'task 3 of a SLURM array of 3 from 1'),
    (array(3, first=1, last=7, count=3, step=2), 'not evenly spaced'),
    (array(2, last=6, step=2, count=3), 'not evenly spaced'),
    (array(1, last=6, step=2), 'task 1 of a SLURM array of 4'),
    (array(9), 'task 9'),
    (array(0, step=0), 'not evenly spaced'),
    ({'SLURM_ARRAY_TASK_ID': '3'}, 'SLURM_ARRAY_TASK_MIN is not set'),
    (array('x'), "SLURM_ARRAY_TASK_ID is 'x'"),
    (step(3, 3), 'SLURM_PROCID=3 of SLURM_STEP_NUM_TASKS=3'),
    ({'OMPI_COMM_WORLD_SIZE': '2'}, 'OMPI_COMM_WORLD_RANK is not set'),
  ],
)
def test_what_cannot_be_told_is_asked_for(environment, message):
  with pytest.raises(errors.UserError, match=f'{message}.*--shard=I/N'):
    shares.choose(None, environment)
  # Asked, the user decides.
  assert shares.choose('1/2', environment) == (1, 2, '--shard')


@pytest.mark.parametrize(
  'flag',
  ['2/2', '5/2', '0/0', '-1/2', '1', '1/', 'a/b', '1/2/3', '1 / 2', '²/3'],
)
def test_what_is_no_share_is_refused(flag):
  with pytest.raises(errors.UserError, match='^--shard=.*from 0 to N - 1'):
    shares.choose(flag, {})


@pytest.mark.parametrize('things', [0, 1, 5, 60, 61])
@pytest.mark.parametrize('count', [1, 2, 3, 7, 64])
def test_shares_are_complete_and_do_not_overlap(things, count):
  parts = [shares.Share(i, count, '').pick(range(things)) for i in range(count)]
  assert sorted(sum(parts, [])) == list(range(things))
  sizes = {len(part) for part in parts}
  assert max(sizes) - min(sizes) <= 1
  assert all(part == sorted(part) for part in parts)


@pytest.mark.parametrize('count', [2, 3, 4])
@pytest.mark.parametrize('kinds', [2, 3, 4])
def test_large_scans_are_spread(count, kinds):
  """Neighbours, and the same scan of every person."""
  scans = [(person, kind) for person in range(24) for kind in range(kinds)]
  for index in range(count):
    part = shares.Share(index, count, '').pick(scans)
    of_kinds = collections.Counter(kind for _, kind in part)
    even = len(part) / kinds
    assert min(of_kinds[kind] for kind in range(kinds)) >= even / 2
    assert max(of_kinds.values()) <= 1.5 * even
    first_half = sum(person < 12 for person, _ in part)
    assert abs(2 * first_half - len(part)) <= 2
