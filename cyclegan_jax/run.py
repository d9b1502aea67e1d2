"""A training as it stands: opened in order, and brought to where it stopped."""

import contextlib
import dataclasses
import functools
import os
import pathlib
from typing import Any
from typing import NamedTuple

import jax
import ml_collections
import numpy as np

from cyclegan_jax import build
from cyclegan_jax import checks
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import meta as meta_lib
from cyclegan_jax import resume
from cyclegan_jax import stored_config
from cyclegan_jax.contrast import start as start_lib
from cyclegan_jax.data import slices as slices_lib
from cyclegan_jax.data import sources
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.reporting import logbook as logbook_lib
from cyclegan_jax.reporting import outlet
from cyclegan_jax.reporting import summary
from cyclegan_jax.runtime import devices
from cyclegan_jax.runtime import host
from cyclegan_jax.runtime import keeper
from cyclegan_jax.runtime import processes
from cyclegan_jax.runtime import workdir_lock

_LESS_MEMORY = (
  'try --config.remat=True, a larger --config.accumulate_steps, '
  '--config.compute_dtype=bfloat16 on an accelerator, or a smaller '
  '--config.batch_size, --config.image_size or --config.generator.features'
)


class Plan(NamedTuple):
  """How long a run goes on.

  Attributes:
    steps_per_epoch: an epoch shows as many images as the larger domain has.
    recipe_steps: of all epochs.
    num_steps: after which this run ends.
  """

  steps_per_epoch: int
  recipe_steps: int
  num_steps: int


@dataclasses.dataclass
class Run:
  """A training, open.

  Attributes:
    plan: how long it goes on.
    data: what it learns from and is scored on.
    state: on all devices.
    batches: iterator over {'a', 'b'}, each the rows [B / processes, H, W, 1] of
      this process; goes on after `state`.
    meta: of the checkpoint that it stands at.
    newest: checkpoints to go on from; of the first process.
    best: those chosen without pairs; likewise.
    least: the distance of the best one; likewise.
  """

  plan: Plan
  data: sources.Data
  state: state_lib.CycleGANState
  batches: Any
  meta: meta_lib.Meta
  newest: keeper.Keeper | None
  best: keeper.Keeper | None
  least: float


def make_plan(config: ml_collections.ConfigDict, data: sources.Data) -> Plan:
  """How many steps a config means with this data."""
  images = max(len(slices) for slices in data.train.values())
  steps_per_epoch = -(-images // config.batch_size)
  recipe = config.num_epochs * steps_per_epoch
  return Plan(steps_per_epoch, recipe, min(recipe, config.max_steps or recipe))


def open_run(
  config: ml_collections.ConfigDict,
  workdir: pathlib.Path,
  stack: contextlib.ExitStack,
) -> Run:
  """Opens a training, new or to be gone on with, and says what it will do.

  Args:
    config: as `checks.check_training` has passed it.
    workdir: of the run; made once it is known that it can start.
    stack: closes what is opened.

  Raises:
    UserError: for data or settings that cannot be used, or if another process
      is training in the workdir.
  """
  first = processes.is_first()
  if first:
    if jax.process_count() > 1:  # alone it has been checked
      checks.check_workdir(config, workdir)
    take_workdir = stack.enter_context(workdir_lock.hold(workdir))
  devices.check_batch_size(config.batch_size, config.accumulate_steps)
  build.keep_compiled(config)
  modules = build.networks(config)
  data = processes.in_turn(lambda: build.open_data(config), 'data')
  processes.check_same(
    data.named_fingerprints() | {'the config': checks.shared_fields(config)}
  )
  # The run is to find its held-out scans from anywhere.
  for name in sources.NAMES:
    if config.data[name]:
      config.data[name] = os.path.abspath(config.data[name])
  plan = make_plan(config, data)
  schedule = build.schedule(config, steps_per_epoch=plan.steps_per_epoch)
  state = devices.create_replicated(
    build.create_state(config, modules, schedule)
  )
  description = summary.describe(config)
  meta = meta_lib.Meta(
    config=stored_config.hide_paths(description['config']),
    versions=description['versions'],
    git_revision=description['git_revision'],
    step=0,
    data=data.fingerprints(),
    intensities=data.intensities(),
    patients=data.patients,
  )
  newest = best = None
  if first:
    take_workdir()
    newest, best = (
      stack.enter_context(
        contextlib.closing(keeper.Keeper(workdir, kind, keep=keep))
      )
      for kind, keep in (('newest', config.keep_checkpoints), ('best', 1))
    )
  state, meta = resume.resume(newest, state, meta, data, workdir)
  least = np.inf
  if best:
    least = resume.find_least(best, meta.step)
    files.write_json(workdir / 'config.json', description)
  batches = build.train_batches(
    config,
    data,
    start=meta.step,
    process=jax.process_index(),
    processes=jax.process_count(),
  )
  run = Run(plan, data, state, batches, meta, newest, best, least)
  summary.say_plan(
    config,
    data,
    state,
    start=meta.step,
    **plan._asdict(),
    devices=devices.describe_devices(processes.count_hosts()),
    workdir=workdir,
  )
  return run


def open_logbook(
  config: ml_collections.ConfigDict, run: Run, workdir: pathlib.Path
) -> logbook_lib.Logbook:
  """The log of a run, to go on after the step it stands at."""
  first = processes.is_first()
  return logbook_lib.Logbook(
    outlet.Files(workdir, run.meta.step) if first else outlet.Nowhere(),
    start=run.meta.step,
    **run.plan._asdict(),
    batch_size=config.batch_size,
    log_every=config.log_every_steps,
    schedule=build.schedule(config, steps_per_epoch=run.plan.steps_per_epoch),
    on_cpu=devices.on_cpu(),
    name_slices=functools.partial(build.name_slices, config, run.data),
    max_bad_steps=config.max_bad_steps,
    sums=run.meta.sums,
  )


def fit_start(
  config: ml_collections.ConfigDict,
  data: sources.Data,
  state: state_lib.CycleGANState,
) -> state_lib.CycleGANState:
  """A fresh state that begins as contrast maps, if the config has any."""
  if not config.generator.get('contrast_map'):
    return state
  images = {}
  for domain, slices in data.train.items():
    count = start_lib.count_slices(slices.size)
    images[domain] = (slices_lib.load_spread(slices, count) + 1) / 2
  maps = start_lib.fit_maps(
    images, build.names(config), deviation=build.surroundings(config)
  )
  # Of one machine: another may round differently.
  maps = processes.tell_facts(
    {direction: values.tolist() for direction, values in maps.items()}
  )
  return start_lib.put(state, maps)


def compile_step(config: ml_collections.ConfigDict, run: Run, key):
  """The step of a run, compiled for its devices; says what memory it takes.

  Raises:
    UserError: if the devices have too little.
    errors.Interrupted: if a stop was asked for meanwhile.
  """
  # The compiler swallows a KeyboardInterrupt, or dies of it.
  with processes.listen('once this is compiled') as stopped:
    step = _compile(config, run.state, key)
    # What devices do together for the first time waits 30 s for the last.
    processes.meet('compiled')
    stop = stopped(run.meta.step)
  if stop:
    raise errors.Interrupted(
      f'interrupted before step {run.meta.step + 1}; the same command starts '
      'there'
    )
  return step


def save(
  run: Run, kind: str, state: state_lib.CycleGANState, *, step: int, **known
):
  """Saves a checkpoint, in the first process.

  Args:
    run: that it is of.
    kind: one of `checkpoint.KINDS`; only 'newest' can be gone on from.
    state: after `step`; may be donated once this returns.
    step: done.
    **known: `sums` or `distance`, as in `meta.Meta`.
  """
  meta = dataclasses.replace(run.meta, step=step, sums=None, distance=None)
  meta = dataclasses.replace(meta, **known)
  keeper_of_kind = run.newest if kind == 'newest' else run.best
  if keeper_of_kind:
    keeper_of_kind.save(step, state.trees(), meta.to_json())


def settle(run: Run):
  """Waits in all processes until the newest checkpoint is written.

  Raises:
    errors.Unsaved: if it could not be.
  """
  if run.newest:
    run.newest.settle()
  processes.meet('saved')  # for as long as it takes: see there
  trouble = processes.tell_facts(run.newest and run.newest.trouble)
  if trouble:
    advice = 'the same command goes on from the checkpoint before it'
    raise errors.Unsaved(f'{trouble}; make room, and {advice}')


@contextlib.contextmanager
def explain_memory():
  """Within, a device that runs out of memory is a mistake with a way out."""
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    raise errors.UserError(
      f'the device has too little memory for a step; {_LESS_MEMORY}'
    ) from None


def _compile(config, state, key):
  rows = config.batch_size // jax.process_count()
  shape = (rows, config.image_size, config.image_size, 1)
  batch = {domain: np.zeros(shape, np.float32) for domain in 'ab'}
  console.say('compiling; a later start with the same sizes is quicker')
  with explain_memory():
    compiled = devices.compile_step(
      build.train_step(config), state, batch, key, kind=config.parallel
    )
  host.release()
  needed, size = devices.memory_needed(compiled), devices.memory_of_device()
  if needed is None:
    return compiled
  fits = not size or needed < size
  console.say(
    f'memory: a step takes {needed / 2**30:.1f} GiB'
    + (f' of {size / 2**30:.1f} GiB' if size else '')
    + ('' if fits else f'; it does not fit: {_LESS_MEMORY}')
  )
  return compiled
