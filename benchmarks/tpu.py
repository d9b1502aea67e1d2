"""The TPU's compiler, which needs `pip install "jax[tpu]"` and no TPU."""

ENVIRONMENT = {  # of a process that loads it
  'JAX_PLATFORMS': 'cpu',
  'TPU_SKIP_MDS_QUERY': '1',
  'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
  'TPU_WORKER_HOSTNAMES': 'localhost',
}


def describe_chips(topology: str) -> list:
  """Abstract chips to compile for, of a topology such as 'v5e:2x2'."""
  from jax.experimental import topologies

  alone = {'chips_per_host_bounds': (1, 1, 1)}
  return topologies.get_topology_desc(
    platform='tpu',
    topology_name=topology,
    **(alone if topology.endswith(':1x1') else {}),
  ).devices
