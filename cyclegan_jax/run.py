"""A training as it stands: opened in order, and brought to where it stopped."""

import contextlib
import dataclasses
import os
import pathlib
from typing import Any
from typing import NamedTuple

import jax
import ml_collections
import numpy as np

from cyclegan_jax import build
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import meta as meta_lib
from cyclegan_jax import stored_config
from cyclegan_jax.contrast import start as start_lib
from cyclegan_jax.data import slices as slices_lib
from cyclegan_jax.data import sources
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.reporting import logbook as logbook_lib
from cyclegan_jax.reporting import summary
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import devices
from cyclegan_jax.runtime import host
from cyclegan_jax.runtime import signals
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
    batches: iterator over {'a', 'b'}, each [B, H, W, 1]; goes on after `state`.
    meta: of the checkpoint that it stands at.
    newest: checkpoints to go on from.
    best: those chosen without pairs.
    least: the distance of the best one.
  """

  plan: Plan
  data: sources.Data
  state: state_lib.CycleGANState
  batches: Any
  meta: meta_lib.Meta
  newest: Any
  best: Any
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
  take_workdir = stack.enter_context(workdir_lock.hold(workdir))
  devices.check_batch_size(config.batch_size, config.accumulate_steps)
  build.keep_compiled(config)
  modules = build.networks(config)
  data = build.open_data(config)
  # The run is to find its held-out scans from anywhere.
  for name in sources.NAMES:
    if config.data[name]:
      config.data[name] = os.path.abspath(config.data[name])
  plan = make_plan(config, data)
  schedule = build.schedule(config, steps_per_epoch=plan.steps_per_epoch)
  state = devices.create_replicated(
    build.create_state(config, modules, schedule)
  )
  batches = build.train_batches(config, data)
  description = summary.describe(config)
  hidden = stored_config.hide_paths(description['config'])
  meta = meta_lib.Meta(
    config=hidden,
    versions=description['versions'],
    git_revision=description['git_revision'],
    step=0,
    data=data.fingerprints(),
    intensities=data.intensities(),
    patients=data.patients,
  )
  take_workdir()
  newest, best = (
    stack.enter_context(
      contextlib.closing(checkpoint.open_checkpoints(workdir, kind, keep=keep))
    )
    for kind, keep in (('newest', config.keep_checkpoints), ('best', 1))
  )
  if newest.latest_step() is not None:
    found = meta_lib.Meta.from_json(checkpoint.restore_meta(newest), workdir)
    _check_same_data(data, found.data, workdir)
    trees = checkpoint.restore(newest, state.trees(), batches)
    state = state.with_trees(trees)
    meta = dataclasses.replace(meta, step=found.step, sums=found.sums)
  checkpoint.forget_after(best, meta.step)  # by a run that was killed since
  least = np.inf
  if best.latest_step() is not None:
    chosen = checkpoint.restore_meta(best)
    # Older versions measured distances of what they took for heads.
    if chosen['data']['a'].startswith(slices_lib.version_tag()):
      least = chosen['distance']
  files.write_json(workdir / 'config.json', description)
  run = Run(plan, data, state, batches, meta, newest, best, least)
  summary.say_plan(
    config,
    data,
    state,
    start=meta.step,
    **plan._asdict(),
    devices=devices.describe_devices(),
    workdir=workdir,
  )
  return run


def open_logbook(
  config: ml_collections.ConfigDict, run: Run, workdir: pathlib.Path
) -> logbook_lib.Logbook:
  """The log of a run, to go on after the step it stands at."""
  return logbook_lib.Logbook(
    workdir,
    start=run.meta.step,
    **run.plan._asdict(),
    batch_size=config.batch_size,
    log_every=config.log_every_steps,
    schedule=build.schedule(config, steps_per_epoch=run.plan.steps_per_epoch),
    on_cpu=devices.on_cpu(),
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
  return start_lib.put(state, maps)


def compile_step(config: ml_collections.ConfigDict, run: Run, key):
  """The step of a run, compiled for its devices; says what memory it takes.

  Raises:
    UserError: if the devices have too little.
    errors.Interrupted: if a stop was asked for meanwhile.
  """
  # The compiler swallows a KeyboardInterrupt, or dies of it.
  with signals.listen('once this is compiled') as stopped:
    step = _compile(config, run.state, key)
  if stopped():
    raise errors.Interrupted(
      f'interrupted before step {run.meta.step + 1}; the same command starts '
      'there'
    )
  return step


def save(
  run: Run, kind: str, state: state_lib.CycleGANState, *, step: int, **known
):
  """Saves a checkpoint.

  Args:
    run: that it is of.
    kind: one of `checkpoint.KINDS`; only 'newest' can be gone on from.
    state: after `step`; may be donated once this returns.
    step: done.
    **known: `sums` or `distance`, as in `meta.Meta`.
  """
  meta = dataclasses.replace(run.meta, step=step, sums=None, distance=None)
  meta = dataclasses.replace(meta, **known)
  newest = kind == 'newest'
  checkpoint.save(
    run.newest if newest else run.best,
    step,
    state.trees(),
    run.batches if newest else None,
    meta.to_json(),
  )


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
  shape = (config.batch_size, config.image_size, config.image_size, 1)
  batch = devices.shard(
    {domain: np.zeros(shape, np.float32) for domain in 'ab'}
  )
  step = devices.data_parallel(build.train_step(config), kind=config.parallel)
  console.say('compiling; a later start with the same sizes is quicker')
  with explain_memory():
    compiled = step.lower(state, batch, key).compile()
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


def _check_same_data(data, saved, workdir):
  """Refuses other slices; those of an older version cannot be compared."""
  for domain, fingerprint in data.fingerprints().items():
    if saved[domain] == fingerprint:
      continue
    if not saved[domain].startswith(slices_lib.version_tag()):
      console.say(
        f'note: the run in {workdir} was started by an older version, which '
        f'made slices of data.train_{domain} a little differently: whether '
        'they are the same is not checked'
      )
      continue
    raise errors.UserError(
      f'data.train_{domain}: the slices of {data.train[domain].source} are '
      f'not those the run in {workdir} was started with; restore them or use '
      'another --workdir'
    )
