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
from cyclegan_jax import compilation
from cyclegan_jax import errors
from cyclegan_jax import inputs
from cyclegan_jax import maps
from cyclegan_jax import meta as meta_lib
from cyclegan_jax import predecessor
from cyclegan_jax import resume
from cyclegan_jax import stored_config
from cyclegan_jax.data import sources
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.reporting import description as description_lib
from cyclegan_jax.reporting import logbook as logbook_lib
from cyclegan_jax.reporting import outlet
from cyclegan_jax.reporting import summary
from cyclegan_jax.runtime import devices
from cyclegan_jax.runtime import keeper
from cyclegan_jax.runtime import processes
from cyclegan_jax.runtime import shelf as shelf_lib
from cyclegan_jax.runtime import workdir_lock


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
    batches: endless {'a', 'b'}, rows of this process; go on after `state`.
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
  return plan_steps(config, max(map(len, data.train.values())))


def plan_steps(config: ml_collections.ConfigDict, images: int) -> Plan:
  """How many steps a config means.

  Args:
    config: of the run.
    images: of the larger domain.
  """
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
  take_workdir = processes.first_alone(
    functools.partial(_hold_workdir, config, workdir, stack), 'workdir'
  )
  devices.check_batch_size(config.batch_size, config.accumulate_steps)
  compilation.keep(config, workdir if processes.is_first() else None)
  modules = build.networks(config)
  processes.first_alone(
    functools.partial(predecessor.check, config, workdir, modules['generator']),
    'start',
  )
  data = processes.in_turn(lambda: inputs.open_data(config), 'data')
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
  newest, best = processes.first_alone(
    functools.partial(_open_keepers, config, workdir, stack, take_workdir),
    'checkpoints',
  ) or (None, None)
  state, meta = resume.resume(newest, state, meta, data, workdir)
  told = devices.describe_devices(processes.count_hosts())
  least = np.inf
  if best:
    least = resume.find_least(best, meta.step)
    facts = summary.describe_run(data, state, devices=told, **plan._asdict())
    description_lib.write(workdir, description, facts, resumed=meta.step > 0)
  batches = inputs.train_batches(
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
    devices=told,
    workdir=workdir,
  )
  return run


def _hold_workdir(config, workdir, stack):
  if jax.process_count() > 1:  # alone it has been checked
    checks.check_workdir(config, workdir)
  return stack.enter_context(workdir_lock.hold(workdir))


def _open_keepers(config, workdir, stack, take_workdir):
  still_ours = take_workdir()
  return [
    stack.enter_context(
      contextlib.closing(
        keeper.Keeper(workdir, kind, keep=keep, may_write=still_ours)
      )
    )
    for kind, keep in (('newest', config.keep_checkpoints), ('best', 1))
  ]


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
    name_slices=functools.partial(inputs.name_slices, config, run.data),
    max_bad_steps=config.max_bad_steps,
    sums=run.meta.sums,
  )


def begin(
  config: ml_collections.ConfigDict,
  run: Run,
  shelf: shelf_lib.Shelf | None = None,
):
  """Brings a fresh run to where it starts.

  Args:
    config: of the run.
    run: opened, at step 0; its state changes, and its meta if started from one.
    shelf: of this process.

  Raises:
    UserError: if those are damaged.
  """
  if not config.start_from:
    run.state = maps.fit_start(config, run.data, run.state, shelf)
    return
  run.state, started = predecessor.begin(config, run.state)
  run.meta = dataclasses.replace(run.meta, started_from=started)


def save(
  run: Run, kind: str, state: state_lib.CycleGANState, *, step: int, **known
):
  """Saves a checkpoint, in the first process.

  Args:
    run: that it is of.
    kind: one of `kept.KINDS`; only 'newest' can be gone on from.
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
