"""One of several processes of a run, and what they have to agree on.

python tests/runtime/several.py HOST:PORT,COUNT,INDEX FOLDER
"""

import contextlib
import functools
import os
import pathlib
import signal
import sys

import jax
import numpy as np
import optax

from cyclegan_jax import errors
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import steps
from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators
from cyclegan_jax.runtime import devices
from cyclegan_jax.runtime import keeper
from cyclegan_jax.runtime import processes

STEPS, HALF = 10, 5
_BATCH = 4


def create():
  """SGD: Adam would hide a wrong scale. With pools, averages and dropout."""
  return state_lib.create_state(
    jax.random.key(0),
    generator=generators.UNet(features=4, levels=2, dropout=0.5),
    discriminator=discriminators.PatchDiscriminator(features=4, layers=1),
    tx=optax.sgd(0.1),
    image_shape=(16, 16, 1),
    pool_size=6,
    averaged=True,
  )


def step(state, batch, key, *, axis_name=None):
  return steps.train_step(
    state,
    batch,
    key,
    objective=steps.Objective('lsgan', 10.0, 5.0, 0.5),
    axis_name=axis_name,
    ema_decay=0.9,
  )


@functools.cache
def compile_for(kind):
  batch = dict.fromkeys('ab', np.zeros((rows(), 16, 16, 1), np.float32))
  compiled = devices.compile_step(step, fresh(), batch, key(), kind=kind)
  processes.meet(f'compiled {kind}')
  return compiled


def fresh():
  return devices.create_replicated(create)


@functools.cache
def key():
  return devices.create_replicated(functools.partial(jax.random.key, 1))


def rows():
  return _BATCH // jax.process_count()


def go(kind, state=None, *, first=0, last=STEPS):
  """The state after some steps, of a fresh one or as given, and its metrics."""
  state = fresh() if state is None else state
  own = slice(rows() * jax.process_index(), rows() * (jax.process_index() + 1))
  rng = np.random.default_rng(0)
  metrics = None
  for number in range(last):
    a, b = rng.uniform(-1, 1, (2, _BATCH, 16, 16, 1)).astype(np.float32)
    batch = devices.shard({'a': a[own], 'b': b[own]})
    if number >= first:
      state, metrics = compile_for(kind)(state, batch, key())
  return state, metrics


def save(workdir, state, number):
  """As a run does: in the first process."""
  if processes.is_first():
    with contextlib.closing(keeper.Keeper(workdir, 'newest', keep=1)) as kept:
      kept.save(number, state.trees(), {'step': number})
    assert not kept.trouble


def restore(workdir):
  """As a run does: the first process reads, the others get it."""
  state = fresh()
  trees = jax.tree.map(np.asarray, state.trees())
  if processes.is_first():
    with contextlib.closing(keeper.Keeper(workdir, 'newest', keep=1)) as kept:
      _, trees = kept.resume(trees)
  return state.with_trees(devices.replicate(processes.tell_all(trees)))


def talk():
  """What the processes tell each other."""
  index = jax.process_index()
  facts = {'name': 'ünï' * (index + 1), 'step': index}
  assert processes.tell_facts(facts) == {'name': 'ünï', 'step': 0}
  assert processes.tell_facts(None if index == 0 else facts) is None
  tree = {'x': np.full((2, 3), index, np.float32), 'n': np.int32(index + 5)}
  told = processes.tell_all(tree)
  assert told['n'] == 5 and not told['x'].any()
  assert told['x'].dtype == np.float32
  processes.check_same({'the config': {'seed': 1}, 'data.train_a': 'v3-1'})
  try:
    processes.check_same({'data.train_a': 'same', 'data.train_b': index})
  except errors.UserError as error:
    assert 'data.train_b is not the same in process 0 and in' in str(error)
  else:
    raise AssertionError('different data went unnoticed')
  try:
    processes.first_alone(lambda: errors_of('the first'), 'mistake')
  except errors.UserError as error:
    assert str(error) == 'of the first'
  else:
    raise AssertionError('its mistake is not told to all')
  assert processes.first_alone(lambda: 7, 'good') == (7 if index == 0 else None)
  assert processes.count_hosts() == 1
  count = jax.process_count()
  described = f'{jax.device_count()} x cpu in {count} processes'
  assert devices.describe_devices(1) == described
  assert devices.describe_devices(2).endswith(' x cpu on 2 hosts')


def errors_of(whom):
  raise errors.UserError(f'of {whom}')


def stop():
  """The last is asked; all agree, however many steps they have made."""
  if jax.process_index() == jax.process_count() - 1:
    os.kill(os.getpid(), signal.SIGTERM)
  with processes.listen('soon') as stopped:
    for made in range(10**5):
      processes.tell_all(np.int32(made))  # as a step, together
      if stopped():
        break
    else:
      raise AssertionError('nobody stopped')
  processes.check_same({'the step of the stop': made})


def main(spec, folder):
  place = pathlib.Path(folder)
  with processes.join(spec):
    # The first makes what all use; the others find it.
    mark = place / 'made-by-the-first'
    found = processes.in_turn(
      lambda: mark.exists() or mark.write_text('x'), 'mark'
    )
    assert found == (1 if processes.is_first() else True)
    talk()
    made = {kind: go(kind) for kind in devices.KINDS}
    # What one process of four devices has saved, and what it will go on with.
    made['resumed'] = go('pmap', restore(place / 'of-one'), first=HALF)
    save(place / 'of-two', go('pmap', last=HALF)[0], HALF)
    made = jax.device_get(
      {kind: jax.tree.leaves(x) for kind, x in made.items()}
    )
    stop()
    np.savez(
      place / f'{jax.process_index()}.npz',
      **{f'{k}_{i:03}': x for k in made for i, x in enumerate(made[k])},
    )


if __name__ == '__main__':
  main(*sys.argv[1:])
