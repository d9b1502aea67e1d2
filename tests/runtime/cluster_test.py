"""Which processes make up a run, by what the environment says."""

import pytest

from cyclegan_jax import errors
from cyclegan_jax.runtime import cluster

_SLURM = {
  'SLURM_JOB_ID': '777',
  'SLURM_STEP_NODELIST': 'node[003-004]',
  'SLURM_NTASKS': '4',
  'SLURM_PROCID': '0',
  'SLURM_LOCALID': '0',
}
_OPEN_MPI_4 = {
  'OMPI_MCA_orte_hnp_uri': '1531576320.0;tcp://10.96.0.1:34911',
  'OMPI_COMM_WORLD_SIZE': '4',
}
_BY_SLURM = {
  'cluster_detection_method': 'slurm',
  'num_processes': 4,
  'local_device_ids': None,
}
_BY_OPEN_MPI = {'cluster_detection_method': 'ompi', 'local_device_ids': None}


def find(environment, spec='auto', files=()):
  return cluster.find(spec, environment, exists=lambda path: path in files)


@pytest.mark.parametrize(
  'environment',
  [
    {},
    # A pod, also of many: only its launcher knows.
    {'KUBERNETES_SERVICE_HOST': '10.0.0.1', 'JOB_COMPLETION_INDEX': '3'},
    # A batch script without srun, and salloc.
    {'SLURM_JOB_ID': '777', 'SLURM_NTASKS': '2', 'SLURM_PROCID': '0'},
    # A shell by `srun --pty` in an allocation of two tasks.
    _SLURM | {'SLURM_NTASKS': '2', 'SLURM_STEP_NUM_TASKS': '1'},
    _SLURM | {'SLURM_NTASKS': '1'},
    _OPEN_MPI_4 | {'OMPI_COMM_WORLD_SIZE': '1'},
    {'TPU_WORKER_HOSTNAMES': 'localhost', 'TPU_WORKER_ID': '0'},
    {'JAX_COORDINATOR_ADDRESS': 'node003:1234'},
  ],
)
def test_a_process_alone_stays_alone(environment):
  assert find(environment) is None


@pytest.mark.parametrize(
  'environment,wanted',
  [
    (_SLURM, _BY_SLURM),
    # Eight GPUs and one task on each host: that task has them all.
    (
      _SLURM
      | {
        'CUDA_VISIBLE_DEVICES': '0,1,2',
        'SLURM_STEP_TASKS_PER_NODE': '1(x4)',
      },
      _BY_SLURM | {'local_device_ids': [0, 1, 2]},
    ),
    # A GPU for each task, and each sees its own only.
    (
      _SLURM | {'CUDA_VISIBLE_DEVICES': '5', 'SLURM_LOCALID': '3'},
      _BY_SLURM | {'local_device_ids': [0]},
    ),
    # All tasks of a host see all of its GPUs: the one of its number, by JAX.
    (
      _SLURM
      | {
        'CUDA_VISIBLE_DEVICES': '0,1',
        'SLURM_STEP_TASKS_PER_NODE': '2(x2)',
        'SLURM_NTASKS_PER_NODE': '1',
      },
      _BY_SLURM,
    ),
    (_OPEN_MPI_4, _BY_OPEN_MPI),
    # By a daemon that is the one task of its host.
    (_OPEN_MPI_4 | _SLURM | {'SLURM_STEP_NUM_TASKS': '1'}, _BY_OPEN_MPI),
    (
      _OPEN_MPI_4
      | {'CUDA_VISIBLE_DEVICES': '0,1', 'OMPI_COMM_WORLD_LOCAL_SIZE': '1'},
      _BY_OPEN_MPI | {'local_device_ids': [0, 1]},
    ),
    ({'TPU_WORKER_HOSTNAMES': 'host-0,host-1', 'TPU_WORKER_ID': '1'}, {}),
    ({'TPU_PROCESS_ADDRESSES': 'a:8471,b:8471'}, {}),
  ],
)
def test_clusters_are_known(environment, wanted):
  assert find(environment) == wanted


def test_a_machine_with_tpus_asks_for_the_others():
  assert find({}, files=['/dev/accel0']) == {}
  assert find({}, files=['/dev/vfio/0']) == {}


def test_what_is_said_wins():
  assert find(_SLURM, 'off') is None
  assert find(_SLURM, 'head:8476,1,0') is None
  assert find(_SLURM, '[fe80::1]:8476,3,2') == {
    'coordinator_address': '[fe80::1]:8476',
    'num_processes': 3,
    'process_id': 2,
    'cluster_detection_method': 'deactivate',
  }


def test_an_open_mpi_that_does_not_say_enough_is_told():
  with pytest.raises(errors.UserError, match='distributed=HOST:PORT,COUNT,IND'):
    find({'OMPI_COMM_WORLD_SIZE': '2'})


@pytest.mark.parametrize(
  'spec,good',
  [
    ('auto', True),
    ('off', True),
    ('head:8476,4,3', True),
    ('head:8476,4,4', False),
    ('head:99999,4,3', False),
    ('head,4,0', False),
    ('head:8476,4', False),
    ('', False),
  ],
)
def test_specs(spec, good):
  assert cluster.is_spec(spec) == good


def test_the_first_process_knows_the_port_it_opens():
  explicit = find({}, 'head:8476,4,0')
  assert cluster.port_to_open(explicit, {}) == 8476
  assert cluster.port_to_open(find({}, 'head:8476,4,1'), {}) is None
  by_slurm = find(_SLURM)
  assert cluster.port_to_open(by_slurm, _SLURM) == 61440 + 777
  own = _SLURM | {'JAX_COORDINATOR_PORT': '1234'}
  assert cluster.port_to_open(by_slurm, own) == 1234
  second = _SLURM | {'SLURM_PROCID': '1'}
  assert cluster.port_to_open(by_slurm, second) is None
  assert cluster.port_to_open(find(_OPEN_MPI_4), _OPEN_MPI_4) is None
