import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cyclegan_jax.contrast import layer
from cyclegan_jax.contrast import start as start_lib
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators


@pytest.fixture(scope='module')
def state():
  create = functools.partial(
    state_lib.create_state,
    generator=generators.UNet(features=4, levels=2),
    discriminator=discriminators.PatchDiscriminator(features=4, layers=1),
    tx=optax.sgd(0.5),
    image_shape=(8, 8, 1),
    pool_size=3,
  )
  return jax.jit(create)(jax.random.key(0))


@pytest.mark.parametrize(
  'first,second', [('gen_ab', 'gen_ba'), ('disc_a', 'disc_b')]
)
def test_every_network_starts_from_its_own_key(state, first, second):
  params = state.params(first, second)
  chex.assert_trees_all_equal_shapes(params[first], params[second])
  for one, other in zip(*map(jax.tree.leaves, params.values()), strict=True):
    assert one.ndim == 1 or not jnp.array_equal(one, other)  # biases are 0


def test_no_two_leaves_share_memory(state):
  """They would die together when the state is donated."""
  leaves = [leaf for leaf in jax.tree.leaves(state) if leaf.size]
  pointers = {leaf.unsafe_buffer_pointer() for leaf in leaves}
  assert len(pointers) == len(leaves)


def test_pools_start_empty_with_the_images_shape(state):
  for pool in (state.pool_a, state.pool_b):
    chex.assert_shape(pool.images, (3, 8, 8, 1))
    assert pool.count == 0


def test_gradients_move_only_the_networks_named(state):
  ones = jax.tree.map(jnp.ones_like, state.disc_a.params)
  after = state.apply_gradients({'disc_a': ones}, pool_b=state.pool_a)
  expected = jax.tree.map(lambda x: x - np.float32(0.5), state.disc_a.params)
  chex.assert_trees_all_close(after.disc_a.params, expected)
  chex.assert_trees_all_equal(after.gen_ab.params, state.gen_ab.params)
  assert after.disc_a.step == 1
  assert state.step == after.step == 0
  assert after.pool_b is state.pool_a


def test_contrast_maps_go_where_their_direction_is():
  create = functools.partial(
    state_lib.create_state,
    generator=generators.ResNet(
      features=2,
      blocks=1,
      start=layer.ContrastLayer(0.5, name='contrast_map'),
    ),
    discriminator=discriminators.PatchDiscriminator(features=2, layers=1),
    tx=optax.adam(0.5),
    image_shape=(8, 8, 1),
    pool_size=0,
    averaged=True,
  )
  before = jax.jit(create)(jax.random.key(0))
  values = np.random.default_rng(0).uniform(size=(12, 8))
  after = start_lib.put(before, {'ab': values})
  for params in (after.gen_ab.params, after.averages['gen_ab']):
    found = params['contrast_map']['values']
    chex.assert_trees_all_close(found, np.float32(values), rtol=0, atol=0)
  chex.assert_trees_all_equal(after.gen_ba.params, before.gen_ba.params)
  chex.assert_trees_all_equal_structs(after, before)
  # no two leaves share memory: the state is donated
  pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(after)]
  assert len(pointers) == len(set(pointers))
