"""The only file that knows how many devices there are.

A step is written for one device with an optional axis name. Here it becomes one
program for the devices of all processes: the state is replicated and has no
device axis, so a checkpoint does not depend on how many devices wrote it; a
batch arrives as [D, B/D, ...], of which every process has the rows of its own
devices.
"""

import collections
from collections.abc import Callable
import functools
from typing import Any

import jax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec
import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.runtime import compiler
from cyclegan_jax.runtime import host
from cyclegan_jax.runtime import tracing

AXIS = 'data'
KINDS = ('pmap', 'shard_map')
_STEPS_AHEAD = 4


def data_parallel(
  step: Callable, *, kind: str = 'pmap', mesh: jax.sharding.Mesh | None = None
) -> Callable:
  """Spreads `step(state, batch, key, axis_name=...)` over all devices.

  Args:
    step: averages over `axis_name` whatever must be equal on every device.
    kind: 'pmap' or 'shard_map': the same body under two transformations.
    mesh: of devices along `AXIS`, for 'shard_map'; None: all there are.

  Returns:
    `step(state, batch, key) -> (state, metrics)`, compiled; `batch` as `shard`
    returns it, `state` as `create_replicated` does. The state is donated.

  Raises:
    ValueError: for another kind.
  """
  body = functools.partial(step, axis_name=AXIS)
  if kind == 'pmap':
    return jax.pmap(
      body,
      axis_name=AXIS,
      in_axes=(None, 0, None),
      out_axes=None,
      donate_argnums=0,
    )
  if kind == 'shard_map':

    def on_one_device(state, batch, key):
      return body(state, jax.tree.map(lambda x: x[0], batch), key)

    mapped = jax.shard_map(
      on_one_device,
      mesh=_mesh() if mesh is None else mesh,
      in_specs=(PartitionSpec(), PartitionSpec(AXIS), PartitionSpec()),
      out_specs=PartitionSpec(),
      # Checked, a replicated parameter's gradient arrives already summed and
      # the mean over devices does nothing: N times too large.
      check_vma=False,
    )
    return jax.jit(mapped, donate_argnums=0)
  raise ValueError(f'parallel {kind!r}: one of {", ".join(KINDS)}')


def compile_step(
  step: Callable,
  state,
  batch,
  key,
  *,
  kind: str = 'pmap',
  deterministic: bool = False,
  recall: Callable[[Callable[[], bytes]], bytes] = lambda trace: trace(),
):
  """The program of `data_parallel`, compiled before its first call.

  Args:
    step: as in `data_parallel`.
    state: as `create_replicated` returns it.
    batch: like those to come, of this process: arrays [rows, ...].
    key: of the run, replicated.
    kind: as in `data_parallel`.
    deterministic: as in `compiler.options`.
    recall: what a function returns, or returned for this very step before: what
      tracing it came to, which is Python and as long as all the rest.
  """
  program = data_parallel(step, kind=kind)
  if jax.process_count() == 1:
    batch = shard(batch)
    everywhere = NamedSharding(_mesh(), PartitionSpec())
    program = tracing.recall_step(
      program, (state, batch, key), recall, everywhere
    )
  else:  # what `pmap` is lowered for has the rows of one process only
    batch = _split(batch) if kind == 'pmap' else shard(batch)
  options = compiler.options(deterministic=deterministic)
  return program.lower(state, batch, key).compile(options)


def create_replicated(create: Callable):
  """The result of `create()`, on every device, no two leaves sharing memory.

  It runs once: XLA's compiler for CPUs is not to spend its time on making it
  fast (15 s against 2 for the initial weights of the smallest networks).
  """
  program = jax.jit(
    create, out_shardings=NamedSharding(_mesh(), PartitionSpec())
  )
  options = compiler.options()
  if on_cpu():
    options |= {'xla_backend_optimization_level': 1}
  return program.lower().compile(options)()


def shard(batch):
  """Puts arrays [B, ...] on the devices as [D, B/D, ...], a row on each.

  Args:
    batch: the rows of this process: [B / processes, ...].
  """
  return _place(_split(batch), PartitionSpec(AXIS))


def replicate(tree):
  """Puts NumPy arrays, the same in every process, on every device."""
  return _place(tree, PartitionSpec())


def throttle(in_flight: collections.deque, metrics):
  """Waits for an earlier step once enough of them are on their way.

  Some have to be, so that devices never wait for the host. Many would hold
  their batches in memory, and put off a stop until the last of them. Virtual
  devices share the threads of one processor: of several steps in flight each
  can wait for a thread that another holds.

  Args:
    in_flight: metrics of the steps on their way, oldest first; changed.
    metrics: of the newest step.
  """
  in_flight.append(metrics)
  virtual = on_cpu() and jax.device_count() > 1
  while len(in_flight) > (0 if virtual else _STEPS_AHEAD):
    jax.block_until_ready(in_flight.popleft())


def check_batch_size(batch_size: int, parts: int = 1):
  """Raises `UserError` unless every device gets the same number of images.

  Args:
    batch_size: over all devices.
    parts: into which each device divides its images.
  """
  devices = jax.device_count()
  multiple = devices * parts
  if batch_size % multiple:
    each = f' in {parts} accumulate_steps' if parts > 1 else ''
    raise errors.UserError(
      f'batch_size {batch_size} does not divide over {devices} devices{each}; '
      f'try --config.batch_size={-(-batch_size // multiple) * multiple}'
    )


def memory_needed(compiled) -> int | None:
  """Bytes of a device that a compiled program works in; None if untold."""
  analysis = compiled.memory_analysis()
  if analysis is None:  # not every backend has one
    return None
  return (
    analysis.argument_size_in_bytes
    + analysis.output_size_in_bytes
    - analysis.alias_size_in_bytes  # donated arguments become results
    + analysis.temp_size_in_bytes
  )


def memory_of_device() -> int | None:
  """Bytes that a device has for programs; None where it does not tell."""
  stats = jax.local_devices()[0].memory_stats()
  if stats:
    return stats.get('bytes_limit')
  return host.memory() if on_cpu() else None


def peak_memory() -> int | None:
  """Bytes of a device that were in use at most; None where it does not tell."""
  stats = jax.local_devices()[0].memory_stats()
  if stats:
    return stats.get('peak_bytes_in_use')
  return host.peak_memory() if on_cpu() else None


def describe_devices(hosts: int = 1) -> str:
  """The devices for people, '2 x cpu', '16 x NVIDIA H100 on 2 hosts'."""
  place = ''
  if hosts > 1:
    place = f' on {hosts} hosts'
  elif jax.process_count() > 1:
    place = f' in {jax.process_count()} processes'
  return f'{jax.device_count()} x {jax.devices()[0].device_kind}{place}'


def on_cpu() -> bool:
  """Whether the devices are nothing but processors."""
  return jax.default_backend() == 'cpu'


def map_images(apply: Callable, params: Any) -> Callable:
  """`apply(params, images)` by all devices of this host, a part of them each.

  Whatever other hosts do: each image is for itself. On a device runs the same
  program as if it were the only one, of as many images as it gets.

  Args:
    apply: from images [N, ...] to as many, each from its own alone.
    params: what it takes, put on every device.

  Returns:
    A function from NumPy arrays [N, ...] to such, of any N; a number of images
    that does not divide over the devices is filled up.
  """
  local = jax.local_devices()
  if len(local) == 1:
    program, here = compiler.jit(apply), jax.device_put(params, local[0])
    return lambda images: np.asarray(program(here, images))
  mesh = jax.sharding.Mesh(np.array(local), (AXIS,))
  everywhere, parts = PartitionSpec(), PartitionSpec(AXIS)
  program = compiler.jit(
    jax.shard_map(
      apply,
      mesh=mesh,
      in_specs=(everywhere, parts),
      out_specs=parts,
      check_vma=False,  # nothing is reduced
    )
  )
  here = jax.device_put(params, NamedSharding(mesh, everywhere))

  def run(images):
    rows = np.resize(
      np.arange(len(images)), -(-len(images) // len(local)) * len(local)
    )
    spread = jax.device_put(images[rows], NamedSharding(mesh, parts))
    return np.asarray(program(here, spread))[: len(images)]

  return run


def _mesh():
  """All devices in the order that `pmap` has: those of a process together."""
  ordered = [
    device
    for process in range(jax.process_count())
    for device in jax.local_devices(process)
  ]
  return jax.sharding.Mesh(np.array(ordered), (AXIS,))


def _split(batch):
  devices = jax.local_device_count()
  return jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)


def _place(tree, spec):
  sharding = NamedSharding(_mesh(), spec)
  return jax.tree.map(  # 0.16 ms for a pair of images; `device_put` takes 0.25
    lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)),
    tree,
  )
