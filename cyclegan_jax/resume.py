"""A run brought to where it stopped, on whatever it goes on with."""

import dataclasses
import pathlib

import jax
import numpy as np

from cyclegan_jax import checks
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import meta as meta_lib
from cyclegan_jax.data import slices as slices_lib
from cyclegan_jax.data import sources
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.runtime import devices
from cyclegan_jax.runtime import keeper as keeper_lib
from cyclegan_jax.runtime import processes


def resume(
  newest: keeper_lib.Keeper | None,
  state: state_lib.CycleGANState,
  meta: meta_lib.Meta,
  data: sources.Data,
  workdir: pathlib.Path,
) -> tuple[state_lib.CycleGANState, meta_lib.Meta]:
  """The state and the meta of the newest checkpoint, or those of a fresh run.

  The first process reads; the others get what it has.

  Args:
    newest: its checkpoints; None in the others.
    state: fresh.
    meta: of a run that begins.
    data: that it is to go on with.
    workdir: of the run, for messages.

  Raises:
    UserError: for other slices, or if none of the checkpoints can be read.
  """
  found = processes.first_alone(
    lambda: newest and newest.resume(state.trees()), 'resume'
  )
  known = processes.tell_facts(found and found[0])
  if known:
    saved = meta_lib.Meta.from_json(known, workdir)
    _check_same_data(data, saved.data, workdir)
    _tell_changes(saved, meta)
    meta = dataclasses.replace(
      meta,
      step=saved.step,
      sums=saved.sums,
      started_from=saved.started_from,
    )
  elif jax.process_count() == 1:
    return state, meta
  # Of a fresh run too: other machines may have rounded other weights.
  trees = found[1] if found else jax.tree.map(np.asarray, state.trees())
  trees = devices.replicate(processes.tell_all(trees))
  return state.with_trees(trees), meta


def find_least(best: keeper_lib.Keeper, step: int) -> float:
  """The distance of the best checkpoint so far; infinite without any.

  Args:
    best: the checkpoints chosen; those of a run that was killed since are
      forgotten.
    step: that the run stands at.
  """
  best.forget_after(step)
  chosen = best.read_meta()
  # Older versions measured distances of what they took for heads.
  if chosen and chosen['data']['a'].startswith(slices_lib.version_tag()):
    return chosen['distance']
  return np.inf


def _tell_changes(saved, meta):
  """What is another than in the run so far; `checks` has allowed it."""
  changes = checks.find_changes(saved.config, meta.config)
  told = [
    f'{name} {old} -> {new}'
    for name, (old, new) in changes.items()
    if name not in checks.LOCAL and 'absent' not in (old, new)
  ]
  if told:
    console.say(f'note: from step {saved.step} on: {", ".join(told)}')


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
