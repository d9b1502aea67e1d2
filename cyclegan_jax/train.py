"""Training: the order of things."""

import collections
import contextlib
import functools
import pathlib

import jax
import ml_collections
import numpy as np

from cyclegan_jax import build
from cyclegan_jax import compilation
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import inputs
from cyclegan_jax import run as run_lib
from cyclegan_jax.data import batches as batches_lib
from cyclegan_jax.evaluation import monitor
from cyclegan_jax.gan import idle
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import translations
from cyclegan_jax.reporting import description
from cyclegan_jax.reporting import pictures
from cyclegan_jax.runtime import compiler
from cyclegan_jax.runtime import devices
from cyclegan_jax.runtime import processes

_SAMPLES = 4  # columns of a sample grid


def train(
  config: ml_collections.ConfigDict, workdir: str | pathlib.Path
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
    errors.PeerLost: if another process of the run has ended.
    errors.Unsaved: if the last checkpoint could not be saved.
    FloatingPointError: after `max_bad_steps` steps without a finite loss.
  """
  with processes.join(config.distributed):
    return _train(config, pathlib.Path(workdir), shelf=None)


def command(config: ml_collections.ConfigDict, workdir: str):
  """`train` as the command line does it: it finds what earlier ones traced.

  A program that calls `train` may have changed what a step is; a process of
  `launch.py` is known to do what the sources say.
  """
  with processes.join(config.distributed):
    shelf = compilation.open_shelf(config)
    _train(config, pathlib.Path(workdir), shelf=shelf)


def _train(config, workdir, *, shelf):
  with contextlib.ExitStack() as stack:
    compilation.check_room(config, shelf)
    run = run_lib.open_run(config, workdir, stack)
    if run.meta.step >= run.plan.num_steps:
      cut = run.plan.num_steps < run.plan.recipe_steps
      limit = 'max_steps' if cut else 'num_epochs'
      console.say(f'nothing left to do; to go on, raise --config.{limit}')
      # It may have been stopped after its last step, before it was scored.
      if not processes.tell_facts(description.is_concluded(workdir)):
        _conclude(config, run, run.state, workdir)
      return run.state
    if run.meta.step == 0:
      run_lib.begin(config, run, shelf)
    if processes.is_first() and run.meta.started_from:
      description.add_facts(
        workdir,
        started_from=run.meta.started_from['step'],
        learnt_from=run.meta.started_from['learnt_from'],
      )
    # Not the key of the weights.
    key = devices.create_replicated(lambda: jax.random.key(config.seed + 1))
    train_step = compilation.compile_step(
      config,
      run.state,
      key,
      steps_per_epoch=run.plan.steps_per_epoch,
      shelf=shelf,
    )
    with contextlib.ExitStack() as inner:
      logbook = inner.enter_context(
        contextlib.closing(run_lib.open_logbook(config, run, workdir))
      )
      stopped = inner.enter_context(processes.listen('after this step'))
      inner.enter_context(compilation.explain_memory())
      state = _go_through_steps(config, run, train_step, key, logbook, stopped)
      run_lib.settle(run)
    console.say(
      f'done: {run.plan.num_steps} steps; checkpoints and pictures in {workdir}'
    )
    _conclude(config, run, state, workdir)
  return state


def _conclude(config, run, state, workdir):
  """Scores, pictures and pages, once all that was learnt is safe."""
  trouble = None
  try:
    _write_conclusion(config, run, state, workdir)
  except OSError as error:  # of the first process, on whose disk they are
    trouble = (
      f'{workdir}: the run is trained and saved, but its scores and its report '
      f'cannot be written: {error.strerror or error}; the same command makes '
      'them'
    )
  trouble = processes.tell_facts(trouble)
  if trouble:
    raise errors.Unsaved(trouble)


def _write_conclusion(config, run, state, workdir):
  first = processes.is_first()
  conclude = _import_conclude()
  conclude.score_held_out(
    run.data,
    functools.partial(compiler.jit(translations.translate), state),
    step=int(state.step),
    domains=config.domains,
    spacing=config.data.spacing,
    simulate=inputs.simulated_head(config),
    workdir=workdir if first else None,
  )
  if first and (workdir / 'config.json').exists():  # its owner may remove it
    description.add_facts(
      workdir,
      finished=description.say_time(),
      peak_memory=devices.peak_memory(),
    )
    console.say(f'report: {conclude.write_pages(workdir)}')


def _go_through_steps(config, run, train_step, key, logbook, stopped):
  """From the step that the run stands at to its end, or until stopped."""
  state, size = run.state, config.image_size
  reconstruct = compiler.jit(translations.reconstruct)
  translate = compiler.jit(translations.translate)
  samples = batches_lib.sample_batch(
    run.data.pairs or run.data.train, count=_SAMPLES, image_size=size
  )
  # At the first evaluation: a run is to start soon.
  watch = functools.cache(
    lambda: monitor.choose(run.data.train, image_size=size)
  )
  num_steps = run.plan.num_steps
  # Which layers no gradient reaches; it is for the first process to tell.
  is_known = run.meta.step > 0 or not processes.is_first()
  learns = config.generator.get('contrast_learns')
  resting = () if learns else ('contrast_map',)
  in_flight = collections.deque()
  for step in range(run.meta.step, num_steps):
    # The host is some steps ahead of the devices, with the next batches on
    # them, until the logbook wants to know something.
    batch = devices.shard(next(run.batches))
    with jax.transfer_guard('disallow'):
      state, metrics = train_step(state, batch, key)
    devices.throttle(in_flight, metrics)
    done, last = step + 1, step + 1 == num_steps
    logbook.record(done, metrics)
    _import_conclude()
    is_known = is_known or idle.tell(state, console.say, resting=resting)
    if last or is_due(done, config.sample_every_steps):
      stages = samples | reconstruct(state, samples)
      picture = pictures.draw_samples(stages, config.domains, step=done)
      logbook.images(done, picture)
    evaluation_due = is_due(done, config.evaluate_every_steps)
    if last or evaluation_due:
      translate_now = functools.partial(translate, state)
      scores = monitor.measure(watch(), translate_now)
      # Not one that is made only because the run ends here: a longer run has
      # no such evaluation.
      if evaluation_due and scores.get('distance', np.inf) < run.least:
        run.least = scores['distance']
        run_lib.save(run, 'best', state, step=done, distance=run.least)
      if run.data.pairs:
        scores |= monitor.validate(run.data.pairs, translate_now)
      logbook.evaluation(done, scores, final=not evaluation_due)
      if done > num_steps / 4:
        troubles = monitor.find_troubles(scores, build.names(config))
        # Of a run that is cut short, what a longer one would not say yet.
        early = done <= run.plan.recipe_steps / 4
        logbook.warn(troubles, final=early or not evaluation_due)
    stop = stopped() and not last
    if last or stop or is_due(done, config.checkpoint_every_steps):
      run_lib.save(run, 'newest', state, step=done, sums=logbook.sums())
      logbook.pause()
    if stop:
      run_lib.settle(run)
      raise errors.Interrupted(
        f'interrupted: step {done} is saved, the same command resumes there'
      )
  return state


def _import_conclude():
  """What is for the end, once the first step is made: it takes 0.4 s.

  Not at the end: the package may be another by then, or not be there.
  """
  from cyclegan_jax import conclude

  return conclude


def is_due(step: int, every: int) -> bool:
  """Whether something done every so many steps is due after `step`."""
  return step % every == 0
