"""Four devices do what one does. With SGD: Adam would hide a wrong scale."""

import collections
import functools
import itertools

import chex
import jax
import numpy as np
import optax
import pytest

from cyclegan_jax import errors
from cyclegan_jax.contrast import crops
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import steps
from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators
from cyclegan_jax.runtime import compiler
from cyclegan_jax.runtime import devices
from cyclegan_jax.runtime import tracing

_STEPS = 3


def create(dropout=0.0):
  return state_lib.create_state(
    jax.random.key(0),
    generator=generators.UNet(features=4, levels=2, dropout=dropout),
    discriminator=discriminators.PatchDiscriminator(features=4, layers=1),
    tx=optax.sgd(0.1),
    image_shape=(16, 16, 1),
    pool_size=6,  # full in the second step: the third swaps
  )


def step(state, batch, key, *, axis_name=None, parts=1):
  objective = steps.Objective('lsgan', 10.0, 5.0, 0.5)
  return steps.train_step(
    state,
    batch,
    key,
    objective=objective,
    axis_name=axis_name,
    parts=parts,
    cut=functools.partial(crops.cut, size=16, deviation=1.0, placed=False),
  )


def draw_batches():
  rng = np.random.default_rng(0)
  for _ in range(_STEPS):
    a, b = rng.uniform(-1, 1, (2, 4, 20, 20, 1)).astype(np.float32)
    yield {'a': a, 'b': b}


@pytest.fixture(scope='module')
def one_device():
  compiled = jax.jit(step)
  state = jax.jit(create)()
  for batch in draw_batches():
    state, metrics = compiled(state, batch, jax.random.key(1))
  return state, metrics


@pytest.fixture(scope='module', params=devices.KINDS)
def four_devices(request):
  assert jax.local_device_count() == 4
  compiled = devices.data_parallel(step, kind=request.param)
  state = devices.create_replicated(create)
  for batch in draw_batches():
    state, metrics = compiled(state, devices.shard(batch), jax.random.key(1))
  return state, metrics


@pytest.mark.portable
def test_four_devices_equal_one(one_device, four_devices):
  (state_1, metrics_1), (state_4, metrics_4) = one_device, four_devices
  chex.assert_trees_all_close(
    jax.device_get((state_1, metrics_1)),
    jax.device_get((state_4, metrics_4)),
    rtol=1e-4,
    atol=2e-6,
  )


def test_all_devices_hold_the_same_state(four_devices):
  """What claims to be replicated is, pools included."""
  state, _ = four_devices
  for leaf in jax.tree.leaves(state):
    shards = [np.asarray(shard.data) for shard in leaf.addressable_shards]
    assert len(shards) == 4
    for shard in shards[1:]:
      np.testing.assert_array_equal(shards[0], shard)


@pytest.mark.parametrize('kind', devices.KINDS)
def test_a_step_that_was_traced_before_is_the_same(four_devices, kind):
  """To the bit as `data_parallel` has it; and the state is donated."""
  kept = []

  def keep(trace):
    kept.append(trace())
    return kept[0]

  def train(recall):
    state, key = devices.create_replicated(create), jax.random.key(1)
    first = next(draw_batches())
    compiled = devices.compile_step(
      step, state, first, key, kind=kind, recall=recall
    )
    begun = state
    for batch in draw_batches():
      state, metrics = compiled(state, devices.shard(batch), key)
    assert all(x.is_deleted() for x in jax.tree.leaves(begun.params('gen_ab')))
    return state, metrics

  traced = train(keep)
  found = train(lambda _: kept[0])
  chex.assert_trees_all_equal(jax.device_get(traced), jax.device_get(found))
  direct = four_devices  # of either kind: they are equal too
  chex.assert_trees_all_equal(jax.device_get(direct), jax.device_get(found))


def test_the_state_is_donated():
  compiled = devices.data_parallel(step)
  state = devices.create_replicated(create)
  batch = devices.shard(next(draw_batches()))
  compiled(state, batch, jax.random.key(1))
  assert all(
    leaf.is_deleted() for leaf in jax.tree.leaves(state.params('gen_ab'))
  )


def test_every_image_has_its_mask_wherever_it_is():
  """Equal images: four masks, the same on four devices as in turn on one."""
  batch = jax.tree.map(
    lambda x: np.repeat(x[:1], 4, axis=0), next(draw_batches())
  )
  make = functools.partial(create, dropout=0.5)
  compiled = devices.data_parallel(step)
  state, metrics = compiled(
    devices.create_replicated(make), devices.shard(batch), jax.random.key(1)
  )
  for pool in (state.pool_a, state.pool_b):
    assert pool.count == 4
    for one, other in itertools.combinations(np.asarray(pool.images[:4]), 2):
      assert not np.array_equal(one, other)
  in_turn = jax.jit(functools.partial(step, parts=4))
  found = in_turn(jax.jit(make)(), batch, jax.random.key(1))
  chex.assert_trees_all_close(
    jax.device_get((state, metrics)), jax.device_get(found), atol=2e-6
  )


def test_a_batch_that_does_not_divide_is_refused_with_both_numbers():
  devices.check_batch_size(8)
  with pytest.raises(errors.UserError, match='batch_size 3 .* 4 devices.*=4'):
    devices.check_batch_size(3)


def test_an_unknown_kind_is_named():
  with pytest.raises(ValueError, match="'jit': one of pmap, shard_map"):
    devices.data_parallel(step, kind='jit')


def test_a_batch_must_divide_into_parts_on_every_device():
  devices.check_batch_size(8, parts=2)
  with pytest.raises(errors.UserError, match=r'2 accumulate_steps.*=16'):
    devices.check_batch_size(12, parts=2)


def test_memory_needed_is_what_a_program_holds():
  """A donated megabyte, and two of temporaries at least."""
  images = jax.ShapeDtypeStruct((256, 1024), np.float32)

  def product(images):
    return jax.numpy.tanh(images @ images.T) @ images

  compiled = jax.jit(product, donate_argnums=0).lower(images).compile()
  needed = devices.memory_needed(compiled) / 2**20
  assert 1 <= needed < 4
  assert devices.memory_of_device() > 2**28


@pytest.mark.parametrize('count, ahead', [(1, 4), (4, 0)])
def test_no_more_than_some_steps_are_on_their_way(count, ahead, monkeypatch):
  monkeypatch.setattr(jax, 'device_count', lambda: count)

  @jax.jit
  def work(x):
    return jax.lax.fori_loop(0, 40, lambda _, x: jax.numpy.tanh(x @ x), x)

  x = jax.block_until_ready(work(jax.numpy.eye(256)))
  made, in_flight = [], collections.deque()
  for _ in range(10):
    x = work(x)
    made.append(x)
    devices.throttle(in_flight, x)
    assert len(in_flight) <= ahead
    assert all(each.is_ready() for each in made[: max(len(made) - ahead, 0)])


@pytest.mark.parametrize('deterministic', [False, True])
@pytest.mark.parametrize('kind', devices.KINDS)
def test_a_step_is_compiled_as_its_config_says(
  monkeypatch, kind, deterministic
):
  asked = []

  def options(*, deterministic=False):
    asked.append(deterministic)
    return {}

  def add(state, batch, key, *, axis_name):
    del key, axis_name
    return state + batch['a'].sum(), ()

  monkeypatch.setattr(compiler, 'options', options)
  state, key = devices.replicate(np.float32(0)), jax.random.key(0)
  batch = {'a': np.ones((4, 1), np.float32)}
  devices.compile_step(
    add, state, batch, key, kind=kind, deterministic=deterministic
  )
  assert asked[-1] == deterministic


def test_a_step_that_cannot_be_written_is_compiled_as_it_is(monkeypatch):
  def refuse(*args, **kwargs):
    raise ValueError('Cannot serialize code with custom calls')

  def add(state, batch, key, *, axis_name):
    del key, axis_name
    return state + batch['a'].sum(), ()

  monkeypatch.setattr(tracing.export, 'export', refuse)
  batch = {'a': np.ones((4, 1), np.float32)}
  state = devices.replicate(np.float32(1))
  key = devices.create_replicated(lambda: jax.random.key(0))
  compiled = devices.compile_step(add, state, batch, key, kind='shard_map')
  assert compiled(state, devices.shard(batch), key)[0] == 2
