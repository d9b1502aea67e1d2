"""Training: the order of things."""

import collections
import contextlib
import functools
import os
import pathlib
import signal
import threading

import jax
import ml_collections
import numpy as np

from cyclegan_jax import build
from cyclegan_jax import checkpoint
from cyclegan_jax import data as data_lib
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import host
from cyclegan_jax import logbook as logbook_lib
from cyclegan_jax import monitor
from cyclegan_jax import parallel
from cyclegan_jax import pictures
from cyclegan_jax import prior
from cyclegan_jax import screen
from cyclegan_jax import state as state_lib
from cyclegan_jax import steps
from cyclegan_jax import summary
from cyclegan_jax import workdir_lock
from cyclegan_jax.mri import slices as slices_lib

_SAMPLES = 4  # rows of a sample grid
_LESS_MEMORY = (
  'try --config.remat=True, a larger --config.accumulate_steps, '
  '--config.compute_dtype=bfloat16 on an accelerator, or a smaller '
  '--config.batch_size, --config.image_size or --config.generator.features'
)


def train(
  config: ml_collections.ConfigDict, workdir: str
) -> state_lib.CycleGANState:
  """Trains to the end of the horizon, from the newest checkpoint if any.

  Args:
    config: as `checks.check_training` has passed it.
    workdir: where everything is written; made if need be.

  Returns:
    The state after the last step.

  Raises:
    UserError: for data or settings that cannot be used, or if another process
      is training in the workdir.
    errors.Interrupted: after SIGINT or SIGTERM, once a checkpoint is saved.
    FloatingPointError: if a loss is not finite.
  """
  workdir = pathlib.Path(workdir)
  with workdir_lock.hold(workdir) as take_workdir:
    return _train(config, workdir, take_workdir)


def _train(config, workdir, take_workdir):
  parallel.check_batch_size(config.batch_size, config.accumulate_steps)
  build.keep_compiled(config)
  modules = build.networks(config)
  data = build.open_data(config)
  # The run is to find its held-out scans from anywhere.
  for name in build.SOURCES:
    if config.data[name]:
      config.data[name] = os.path.abspath(config.data[name])
  images = max(len(slices) for slices in data.train.values())
  steps_per_epoch = -(-images // config.batch_size)
  recipe_steps = config.num_epochs * steps_per_epoch
  num_steps = min(recipe_steps, config.max_steps or recipe_steps)

  schedule = build.schedule(config, steps_per_epoch=steps_per_epoch)
  state = parallel.create_replicated(
    build.create_state(config, modules, schedule)
  )
  key = parallel.replicate(jax.random.key(config.seed + 1))  # not the weights'
  reconstruct = jax.jit(steps.reconstruct)
  translate = jax.jit(steps.translate)
  batches = iter(
    data_lib.train_batches(
      data.train['a'],
      data.train['b'],
      image_size=config.image_size,
      batch_size=config.batch_size,
      seed=config.seed,
      threads=config.data.threads,
    )
  )
  take_workdir()
  description = summary.describe(config)
  checkpoints = checkpoint.open_checkpoints(
    workdir, 'newest', keep=config.keep_checkpoints
  )
  sums = None
  if checkpoints.latest_step() is not None:
    meta = checkpoint.restore_meta(checkpoints)
    _check_same_data(data, meta['data'], workdir)
    state = state.with_trees(
      checkpoint.restore(checkpoints, state.trees(), batches)
    )
    sums = meta['sums']
  start = int(state.step)
  best = checkpoint.open_checkpoints(workdir, 'best', keep=1)
  checkpoint.forget_after(best, start)  # by a run that was killed since
  least = np.inf
  if best.latest_step() is not None:
    least = checkpoint.restore_meta(best)['distance']
  files.write_json(workdir / 'config.json', description)
  summary.say_plan(
    config,
    data,
    state,
    num_steps=num_steps,
    steps_per_epoch=steps_per_epoch,
    workdir=workdir,
  )
  if start >= num_steps:
    limit = 'max_steps' if num_steps < recipe_steps else 'num_epochs'
    screen.say(f'nothing left to do; to go on, raise --config.{limit}')
    checkpoints.close()
    best.close()
    return state

  names = dict(zip('ab', config.domains, strict=True))
  if start == 0 and config.generator.get('contrast_map'):
    images = {
      domain: (
        slices_lib.load_spread(slices, prior.count_slices(slices.size)) + 1
      )
      / 2
      for domain, slices in data.train.items()
    }
    maps = prior.fit_maps(images, names, deviation=build.surroundings(config))
    state = prior.put(state, maps)
  # The compiler swallows a KeyboardInterrupt, or dies of it.
  with _listen_for_signals('once this is compiled') as stopped:
    train_step = _compile_step(config, state, key)
  if stopped():
    raise errors.Interrupted(
      f'interrupted before step {start + 1}; the same command starts there'
    )
  logbook = logbook_lib.Logbook(
    workdir,
    start=start,
    num_steps=num_steps,
    recipe_steps=recipe_steps,
    steps_per_epoch=steps_per_epoch,
    batch_size=config.batch_size,
    log_every=config.log_every_steps,
    schedule=schedule,
    on_cpu=parallel.on_cpu(),
    sums=sums,
  )

  def describe(state):
    return description | {
      'step': int(state.step),
      'data': data.fingerprints(),
      'intensities': data.intensities(),
      'people': data.people,
    }

  samples = data_lib.sample_batch(
    data.pairs or data.train, count=_SAMPLES, image_size=config.image_size
  )
  watched = monitor.choose(data.train, image_size=config.image_size)
  with (
    _explain_memory(),
    _listen_for_signals('after this step') as stopped,
    contextlib.closing(checkpoints),
    contextlib.closing(best),
    contextlib.closing(logbook),
  ):
    in_flight = collections.deque()
    for step in range(start, num_steps):
      # The host is some steps ahead of the devices, with the next batches on
      # them, until the logbook wants to know something.
      batch = parallel.shard(next(batches))
      with jax.transfer_guard('disallow'):
        state, metrics = train_step(state, batch, key)
      parallel.throttle(in_flight, metrics)
      done = step + 1
      last = done == num_steps
      logbook.record(done, metrics)
      if last or is_due(done, config.sample_every_steps):
        stages = samples | reconstruct(state, samples)
        logbook.images(
          done, pictures.draw_samples(stages, config.domains, step=done)
        )
      evaluation_due = is_due(done, config.evaluate_every_steps)
      if last or evaluation_due:
        translate_now = functools.partial(translate, state)
        scores = monitor.measure(watched, translate_now)
        # Not one that is made only because the run ends here: a longer run
        # has no such evaluation.
        if evaluation_due and scores.get('distance', np.inf) < least:
          least = scores['distance']
          meta = describe(state) | {'distance': least}
          checkpoint.save(best, done, state.trees(), None, meta)
        if data.pairs:
          scores |= monitor.validate(data.pairs, translate_now)
        logbook.evaluation(done, scores, final=not evaluation_due)
        if done > num_steps / 4:
          logbook.warn(monitor.find_troubles(scores, names))
      stop = stopped() and not last
      if last or stop or is_due(done, config.checkpoint_every_steps):
        meta = describe(state) | {'sums': logbook.sums()}
        checkpoint.save(checkpoints, done, state.trees(), batches, meta)
        logbook.pause()
      if stop:
        raise errors.Interrupted(
          f'interrupted: step {done} is saved, the same command resumes there'
        )
  screen.say(f'done: {num_steps} steps; checkpoints and pictures in {workdir}')
  return state


def _compile_step(config, state, key):
  """The step of a run, compiled; says what memory it takes."""
  shape = (config.batch_size, config.image_size, config.image_size, 1)
  batch = parallel.shard(
    {domain: np.zeros(shape, np.float32) for domain in 'ab'}
  )
  step = parallel.data_parallel(build.train_step(config), kind=config.parallel)
  screen.say('compiling; a later start with the same sizes is quicker')
  with _explain_memory():
    compiled = step.lower(state, batch, key).compile()
  host.release()
  needed, size = parallel.memory_needed(compiled), parallel.memory_of_device()
  if needed is None:
    return compiled
  fits = not size or needed < size
  screen.say(
    f'memory: a step takes {needed / 2**30:.1f} GiB'
    + (f' of {size / 2**30:.1f} GiB' if size else '')
    + ('' if fits else f'; it does not fit: {_LESS_MEMORY}')
  )
  return compiled


@contextlib.contextmanager
def _explain_memory():
  """Within, a device that runs out of memory is a mistake with a way out."""
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    raise errors.UserError(
      f'the device has too little memory for a step; {_LESS_MEMORY}'
    ) from None


def is_due(step: int, every: int) -> bool:
  """Whether something done every so many steps is due after `step`."""
  return step % every == 0


def _check_same_data(data, saved, workdir):
  for domain, fingerprint in data.fingerprints().items():
    if saved[domain] != fingerprint:
      raise errors.UserError(
        f'data.train_{domain}: the slices of {data.train[domain].source} are '
        f'not those the run in {workdir} was started with; restore them or use '
        'another --workdir'
      )


@contextlib.contextmanager
def _listen_for_signals(when):
  """Within, SIGINT and SIGTERM ask for a stop; a second SIGINT insists.

  Yields:
    A function: whether a stop has been asked for.
  """
  asked = threading.Event()

  def ask(signum, frame):
    del frame
    if asked.is_set() and signum == signal.SIGINT:
      raise KeyboardInterrupt
    asked.set()
    screen.say(f'stopping {when} ...')

  previous = {
    number: signal.signal(number, ask)
    for number in (signal.SIGINT, signal.SIGTERM)
  }
  try:
    yield asked.is_set
  finally:
    for number, handler in previous.items():
      signal.signal(number, handler)
