"""A look at the data before a training: what is there, and would it start."""

from collections.abc import Sequence
import pathlib
import statistics
import time

import jax
import ml_collections
import numpy as np

from cyclegan_jax import build
from cyclegan_jax import compilation
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import inputs
from cyclegan_jax import predecessor
from cyclegan_jax import run as run_lib
from cyclegan_jax import stored_config
from cyclegan_jax.data import inventory as inventory_lib
from cyclegan_jax.data import sources
from cyclegan_jax.mri import patients
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.pages import survey as survey_page
from cyclegan_jax.runtime import devices

_SIZES = (64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)
_STEPS = 3  # timed, after one that is not
_FINER = 0.7  # scans whose pixels are smaller than that share of ours


def survey(
  config: ml_collections.ConfigDict,
  workdir: str,
  *,
  target: str | None = None,
):
  """Opens the data of a config as training would, and tells what it found.

  Prints a table and writes it as a page, with pictures of what the networks
  would see. What is decoded stays in the cache, for training.

  Args:
    config: as `checks.check_training` has passed it.
    workdir: of the run that would be trained.
    target: where the page goes; None: check.html in the workdir.

  Raises:
    UserError: if training would refuse, with its first reason.
  """
  compilation.keep(config)
  cache = inputs.slice_cache(config)
  settings = inputs.source_settings(config)
  found = [
    inventory_lib.look(
      f'data.{name}',
      place,
      settings[name],
      cache=cache,
      min_foreground=config.data.min_foreground,
      slice_range=config.data.slice_range,
      channels=stored_config.input_channels(config),
      report=console.report_progress(f'reading data.{name}'),
    )
    for name, place in inputs.find_sources(config).items()
  ]
  problems = [f'{each.field}: {each.problem}' for each in found if each.problem]
  problems += [
    f'{inventory.field}: {entry.problem}'
    for inventory in found
    for entry in inventory.refused
    if not inventory.problem
  ]
  notes = _compare(found, cache, problems)
  advice = [] if problems else _advise(config, found)
  if not problems:
    problems += _measure_step(config, pathlib.Path(workdir), found, advice)
  tables = [
    (inventory, survey_page.describe(inventory, config.domains))
    for inventory in found
  ]
  for inventory, rows in tables:
    console.say(f'{inventory.field}  {inventory.place}')
    for label, value in rows:
      console.say(f'  {label:<12} {value}')
  for line in (*(f'note: {note}' for note in notes), *advice):
    console.say(line)
  page = pathlib.Path(target) if target else pathlib.Path(workdir, 'check.html')
  survey_page.write(page, tables, problems=problems, notes=notes, advice=advice)
  console.say(f'page: {page}')
  if problems:
    raise errors.UserError(
      f'training would refuse: {problems[0]}'
      + (f' (and {len(problems) - 1} more)' if len(problems) > 1 else '')
    )
  console.say('training would start')


def _compare(found, cache, problems):
  """Notes on what is in two sources; what training refuses, to `problems`."""
  named = {each.field.removeprefix('data.'): each for each in found}
  notes = []
  try:
    patients.check_patients(
      {name: each.scans for name, each in named.items()},
      warn=lambda line: notes.append(line.removeprefix('warning: ')),
    )
  except errors.UserError as error:
    problems.append(str(error))
  same = inventory_lib.find_identical(named['train_a'], named['train_b'], cache)
  if same:
    line = (
      f'{len(same)} files are in both domains, such as {same[0][0]} and '
      f'{same[0][1]}: a likely mistake'
    )
    a, b = (named[f'train_{domain}'].scans for domain in 'ab')
    refused = sources.find_copied(a, b)
    (problems if refused else notes).append(line)
  if 'test_a' in named:
    pairs = patients.pair_scans(named['test_a'].scans, named['test_b'].scans)
    notes.append(
      f'{len(pairs)} held-out pairs, scored while training'
      if pairs
      else 'data.test_a and data.test_b share no name and no patient: no pairs '
      'are scored'
    )
  return notes


def _advise(config, found):
  """What spacing and size would show whole heads, a line each."""
  lengths, native = [], []
  plane = config.data.planes[0]
  for inventory in found:
    settings = inputs.slice_settings(config, inventory.field[-1])
    lengths += inventory_lib.measure_heads(inventory, settings)
    native += [
      max(volume_lib.plane_spacing(entry.affine, plane)[1:])
      for entry in inventory.usable
      if entry.affine is not None
    ]
  if not lengths:
    return ['sizes: pictures say no millimetres; they are resized to fit']
  seen = config.image_size * config.data.spacing
  lines = [
    f'sizes: heads are up to {max(lengths):.0f} mm long, the networks see '
    f'{seen:.0f} mm of {config.data.spacing:g} mm; scans have '
    f'{statistics.median(native):.2g} mm in a slice'
  ]
  fits = max(lengths) <= seen
  finer = statistics.median(native) < _FINER * config.data.spacing
  if fits and not finer:
    return [*lines, 'sizes: whole heads fit, nothing has to change']
  halvings = build.networks(config)['generator'].halvings
  sizes = [size for size in _SIZES if size % 2**halvings == 0]
  suggested = inventory_lib.suggest(
    lengths, native, image_size=config.image_size, sizes=sizes
  )
  for what, (spacing, size) in suggested.items():
    lines.append(
      f'to keep {what}: --config.data.spacing={spacing:g} '
      f'--config.image_size={size}'
    )
  why = (
    'the networks see less than the scans show' if fits else 'heads are cropped'
  )
  return [*lines, f'sizes: {why}; take one of the lines above, or neither']


def _measure_step(config, workdir, found, advice) -> Sequence[str]:
  """Adds time and memory of the recipe here; returns why it cannot train."""
  counts = [
    len(each.slices) for each in found if each.field.startswith('data.train')
  ]
  plan = run_lib.plan_steps(config, max(counts))
  try:
    predecessor.check(config, workdir, build.networks(config)['generator'])
    devices.check_batch_size(config.batch_size, config.accumulate_steps)
    compilation.check_room(config)
    seconds, memory = _try_step(config, plan.steps_per_epoch)
  except errors.UserError as error:
    return [str(error)]
  advice.append(
    f'time: {seconds:.2g} s a step on {devices.describe_devices()}, about '
    f'{console.format_duration(seconds * plan.num_steps)} for '
    f'{plan.num_steps:,} steps, {config.num_epochs} epochs of '
    f'{plan.steps_per_epoch:,}'
  )
  if memory:
    advice.append(f'memory: {memory / 2**30:.1f} GiB of a device, for a step')
  return []


def _try_step(config, steps_per_epoch):
  """Seconds of a step, and bytes that it works in where that is told.

  The step is that of the training to come, which need not compile it again.
  """
  modules = build.networks(config)
  schedule = build.schedule(config, steps_per_epoch=steps_per_epoch)
  state = devices.create_replicated(
    build.create_state(config, modules, schedule)
  )
  key = devices.create_replicated(lambda: jax.random.key(0))
  console.say('trying some steps; minutes for a large recipe on a CPU')
  step = compilation.compile_step(
    config, state, key, steps_per_epoch=steps_per_epoch
  )
  size = config.image_size
  channels = stored_config.input_channels(config)
  shape = (config.batch_size, size, size, channels)
  images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
  batch = devices.shard({'a': images, 'b': images})
  taken = []
  for _ in range(_STEPS + 1):
    start = time.perf_counter()
    state, metrics = step(state, batch, key)
    jax.block_until_ready((state, metrics))
    taken.append(time.perf_counter() - start)
  return statistics.median(taken[1:]), devices.memory_needed(step)
