"""The run that a new one starts from: its networks, and nothing else of it."""

import dataclasses
import functools
import pathlib
from typing import Any

from flax import linen as nn
import jax
import ml_collections
import numpy as np

from cyclegan_jax import build
from cyclegan_jax import checks
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import source as source_lib
from cyclegan_jax import stored_config
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.mri import patients
from cyclegan_jax.mri import scans
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import digests
from cyclegan_jax.runtime import kept
from cyclegan_jax.runtime import processes

_GENERATORS = ('gen_ab', 'gen_ba')
_DISCRIMINATORS = ('disc_a', 'disc_b')
# Of a generator, what makes it no other network.
_FREE = {'dropout', 'reach', 'dtype', 'start', 'parent', 'name'}


def check(
  config: ml_collections.ConfigDict, workdir: pathlib.Path, generator: nn.Module
):
  """Checks that a new run can start from what its config names, if anything.

  One that goes on has no use for it any more.

  Args:
    config: of the new run; the first process alone needs to see the other.
    workdir: of the new run.
    generator: the new run's.

  Raises:
    UserError: if that is damaged, or its generators are other networks.
  """
  if not config.start_from or kept.list_kind(workdir, 'newest'):
    return
  source = _open(config)
  theirs = build.networks(stored_config.read(source.meta.config))['generator']
  if theirs.norm == 'folded':
    raise errors.UserError(
      f'--config.start_from={config.start_from} has batch-norm generators, '
      'which translate and cannot be trained on: leave it out'
    )
  changes = checks.find_changes(_describe(theirs), _describe(generator))
  if 'network' in changes:  # then the other fields say nothing
    changes = {'network': changes['network']}
  if 'contrast_map' in changes:
    changes.pop('contrast_look')
  differing = [
    f'generator.{name} ({old} there, {new} now)'
    for name, (old, new) in changes.items()
  ]
  if differing:
    raise errors.UserError(
      f'--config.start_from={config.start_from} has other generators: '
      f'{", ".join(differing)}; use the same values, or leave it out'
    )


def begin(
  config: ml_collections.ConfigDict, state: state_lib.CycleGANState
) -> tuple[state_lib.CycleGANState, dict[str, Any]]:
  """Puts another run's networks in a fresh state, and says so.

  Its generators are those that translate there, and their averages begin as
  the same; discriminators come along where they fit. The first process reads,
  one network at a time; the others are told.

  Args:
    config: of the new run.
    state: fresh, on all devices.

  Returns:
    The state, and what `meta.Meta.started_from` is to be.

  Raises:
    UserError: if what is to be read is damaged.
  """
  source = processes.first_alone(functools.partial(_open, config), 'source')
  told = processes.tell_facts(source and _look(config, source))
  found = {}
  for name in told['networks']:
    like = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype),
      getattr(state, name).params,
    )
    params = processes.first_alone(
      functools.partial(_read, source, name, like), f'start {name}'
    )
    if params is None:
      params = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
    params = processes.tell_all(params)
    state = state.change_params(name, functools.partial(_replace, params))
    if name in _GENERATORS:
      found[name] = source_lib.digest(params)
  for line in told['lines']:
    console.say(line)
  started = {
    'digest': digests.of_json(found),
    'discriminators': _DISCRIMINATORS[0] in told['networks'],
  }
  return state, told['known'] | started


def _open(config):
  return source_lib.open_source(kept.find(config.start_from))


def _look(config, source):
  """Which networks to take of it, and what to say of that."""
  place, theirs = config.start_from, source.meta.config
  lines = [f'  start      from step {source.meta.step} of {place}']
  changes = checks.find_changes(
    *(
      {'discriminator': x['discriminator'], 'loss.kind': x['loss']['kind']}
      for x in (theirs, config.to_dict())
    )
  )
  there = [name for name in _GENERATORS if name in source.networks]
  why = (
    'it has none'
    if not set(_DISCRIMINATORS) <= set(source.networks)
    else ', '.join(f'{name} was {old}' for name, (old, _) in changes.items())
  )
  if why:
    lines.append(f'  start      discriminators begin anew: {why}')
  if len(there) < len(_GENERATORS):
    a, b = config.domains
    way = f'{b} to {a}' if 'gen_ab' in there else f'{a} to {b}'
    lines.append(f'  start      the generator {way} begins anew: it has none')
  if list(theirs['domains']) != list(config.domains):
    lines.append(
      f'note: {place} is of {" and ".join(theirs["domains"])}, this run of '
      f'{" and ".join(config.domains)}: a goes on as a, b as b'
    )
  lines += _warn(config, source.meta)
  return {
    'networks': there if why else [*there, *_DISCRIMINATORS],
    'lines': lines,
    'known': {
      'step': source.meta.step,
      'trained_on': source.meta.trained_on(),
      'learnt_from': source.meta.learnt_from(),
    },
  }


def _warn(config, meta):
  """Of held-out patients whom the networks know already."""
  named = [config.data[name] for name in ('test_a', 'test_b')]
  held_out = [scan for each in named if each for scan in scans.find_scans(each)]
  known = patients.find_known(held_out, *meta.trained_on())
  if known:
    yield (
      f'warning: {len(known)} of the held-out patients were trained on by the '
      f'run this one starts from ({known[0]}): scores say nothing of patients '
      'the networks do not know'
    )


def _read(source, name, like):
  if name in _GENERATORS:
    return source_lib.read_generator(source, name.removeprefix('gen_'), like)
  return checkpoint.read_params(source.path, (name,), like)


def _replace(params, old):
  """On the devices of the old ones; copied, for states are donated."""
  return jax.tree.map(
    lambda new, there: jax.device_put(
      np.array(new, there.dtype), there.sharding
    ),
    params,
    old,
  )


def _describe(generator):
  """The fields that decide what a generator computes."""
  fields = {
    field.name: getattr(generator, field.name)
    for field in dataclasses.fields(generator)
    if field.name not in _FREE
  }
  start = getattr(generator, 'start', None)
  return fields | {
    'network': type(generator).__name__.lower(),
    'contrast_map': start is not None,
    'contrast_look': start and start.look,
  }
