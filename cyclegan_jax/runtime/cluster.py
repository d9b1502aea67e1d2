"""Which processes make up a run: read from the environment, nothing touched.

JAX finds the processes of a cluster by itself where it is told which kind of
cluster it is. What it is not told to leave alone it takes up in places where a
process is alone: an interactive allocation, any pod.
"""

from collections.abc import Mapping
import os
import re
from typing import Any

from cyclegan_jax import errors

AUTO, OFF = 'auto', 'off'
WANTED = f"'{AUTO}', '{OFF}' or 'HOST:PORT,COUNT,INDEX'"
_EXPLICIT = re.compile(
  r'(?P<address>[^,\s]+:\d+),(?P<count>\d+),(?P<index>\d+)'
)
_SLURM = (
  'SLURM_JOB_ID',
  'SLURM_STEP_NODELIST',
  'SLURM_NTASKS',
  'SLURM_PROCID',
  'SLURM_LOCALID',
)
_OPEN_MPI = 'OMPI_MCA_orte_hnp_uri'
_TPU_HOSTS = ('TPU_PROCESS_ADDRESSES', 'TPU_WORKER_HOSTNAMES')
_TPU_DEVICES = ('/dev/accel0', '/dev/vfio/0')


def is_spec(spec: str) -> bool:
  """Whether `config.distributed` may be this."""
  found = _EXPLICIT.fullmatch(spec)
  if found:
    port = int(found['address'].rpartition(':')[2])
    return port < 2**16 and int(found['index']) < int(found['count'])
  return spec in (AUTO, OFF)


def find(
  spec: str,
  environment: Mapping[str, str],
  *,
  exists=os.path.exists,
) -> dict[str, Any] | None:
  """Arguments of `jax.distributed.initialize`; None for a process alone.

  Args:
    spec: `config.distributed`.
    environment: variables by name.
    exists: whether there is a device file of a name.

  Raises:
    UserError: where the environment speaks of a cluster but not clearly.
  """
  if spec == OFF:
    return None
  found = _EXPLICIT.fullmatch(spec)
  if found:
    return _explicit(**found.groupdict())
  # First: the daemons of mpirun are tasks of SLURM, and what they start is not.
  if _OPEN_MPI in environment:
    if int(environment['OMPI_COMM_WORLD_SIZE']) == 1:
      return None
    return {
      'cluster_detection_method': 'ompi',
      'local_device_ids': _devices_of_task(environment),
    }
  if int(environment.get('OMPI_COMM_WORLD_SIZE', 1)) > 1:
    # Open MPI 5 does not tell where the first process is.
    raise errors.UserError(
      'this version of Open MPI does not say where the first process is: name '
      "it, --config.distributed=HOST:PORT,COUNT,INDEX, or 'off'"
    )
  if all(name in environment for name in _SLURM):
    # An interactive shell has SLURM_NTASKS of the allocation and is alone.
    tasks = environment.get('SLURM_STEP_NUM_TASKS', environment['SLURM_NTASKS'])
    if int(tasks) == 1:
      return None
    return {
      'cluster_detection_method': 'slurm',
      'num_processes': int(tasks),
      'local_device_ids': _devices_of_task(environment),
    }
  hosts = next((environment[x] for x in _TPU_HOSTS if environment.get(x)), '')
  if hosts:
    return {} if ',' in hosts else None
  # A virtual machine with TPUs asks its metadata server for the others.
  return {} if any(map(exists, _TPU_DEVICES)) else None


def port_to_open(
  arguments: Mapping[str, Any], environment: Mapping[str, str]
) -> int | None:
  """The port that this process is going to listen on; None if on none known.

  Args:
    arguments: from `find`.
    environment: variables by name.
  """
  if 'coordinator_address' in arguments:
    first = arguments['process_id'] == 0
    return int(arguments['coordinator_address'].rsplit(':')[-1]) * first or None
  if arguments.get('cluster_detection_method') == 'slurm':
    if int(environment['SLURM_PROCID']):
      return None
    # As in jax._src.clusters.slurm_cluster.
    default = int(environment['SLURM_JOB_ID']) % 2**12 + 65535 - 2**12 + 1
    return int(environment.get('JAX_COORDINATOR_PORT', default))
  return None


def _explicit(address, count, index):
  if int(count) == 1:
    return None
  return {
    'coordinator_address': address,
    'num_processes': int(count),
    'process_id': int(index),
    'cluster_detection_method': 'deactivate',
  }


def _devices_of_task(environment):
  """Which GPUs this task takes; None leaves it to JAX: the one of its number.

  That is wrong where a task sees one only, or is the only one of its host.
  """
  visible = environment.get('CUDA_VISIBLE_DEVICES', '')
  count = len([each for each in visible.split(',') if each.strip()])
  if count == 1:
    return [0]
  # '1' or '1(x4)'; SLURM_NTASKS_PER_NODE may be the allocation's.
  tasks = environment.get('OMPI_COMM_WORLD_LOCAL_SIZE') or environment.get(
    'SLURM_STEP_TASKS_PER_NODE', ''
  )
  alone = re.fullmatch(r'1(\(x\d+\))?', tasks)
  return list(range(count)) if count and alone else None
