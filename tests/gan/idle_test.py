"""Layers that no gradient reaches are named; others are not."""

import functools

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cyclegan_jax.contrast import layer
from cyclegan_jax.gan import idle
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import steps
from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators

_TUTORIAL = dict(leak=0.3, skip_leak=0.3, affine=True, norm_innermost=True)
_SIDE = 8
_RATE = optax.linear_schedule(2e-4, 0.0, 10)  # a schedule counts too


def listen(generator, *, broken=(), steps_made=3, resting=()):
  """What is told after each step: lists of lines, until it was enough."""
  create = functools.partial(
    state_lib.create_state,
    generator=generator,
    discriminator=discriminators.PatchDiscriminator(features=2, layers=1),
    tx=optax.adam(_RATE, b1=0.5),
    image_shape=(_SIDE, _SIDE, 1),
    pool_size=0,
  )
  state = jax.jit(create)(jax.random.key(0))
  objective = steps.Objective('bce', 1.0, 1.0, 0.5)
  step = jax.jit(functools.partial(steps.train_step, objective=objective))
  rows, columns = np.mgrid[-1 : 1 : _SIDE * 1j, -1 : 1 : _SIDE * 1j]
  head = np.where(rows**2 + columns**2 < 0.6, 0.3, -1)[None, ..., None]
  told = []
  for number in range(steps_made):
    noise = np.random.default_rng(number).uniform(0, 0.3, (2, *head.shape))
    a, b = (head + noise).astype(np.float32)
    if number in broken:
      a = a * np.nan
    batch = {'a': jnp.asarray(a), 'b': jnp.asarray(b)}
    state, _ = step(state, batch, jax.random.key(1))
    told.append([])
    if idle.tell(state, told[-1].append, resting=resting):
      break
  return told


def test_a_normalised_map_of_one_pixel_is_found():
  network = generators.UNet(features=1, levels=3, **_TUTORIAL)
  told = listen(network)
  assert [len(lines) for lines in told] == [0, 2]
  shapes = jax.eval_shape(
    network.init, jax.random.key(0), jnp.zeros((1, _SIDE, _SIDE, 1))
  )['params']
  whole = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  dead = 16 * 2 * 4 + 2 * 4 + 16 * 4 * 2 + 2 * 2
  for line, name in zip(told[1], ('gen_ab', 'gen_ba'), strict=True):
    assert line.startswith(
      f'{name}: {dead:,} of {whole:,} parameters, {dead / whole:.1%}, got no'
    )
    assert line.endswith(': down_2, down_norm_2, up_1, up_norm_1')


@pytest.mark.parametrize(
  'generator',
  [
    generators.UNet(features=1, levels=3, dropout=0.5),
    generators.UNet(features=1, levels=2, **_TUTORIAL),
    generators.ResNet(features=2, blocks=1),
    generators.ResNet(
      features=2,
      blocks=1,
      start=layer.ContrastLayer(1.0, learns=True, name='contrast_map'),
    ),
  ],
)
def test_of_networks_that_learn_nothing_is_said(generator):
  assert listen(generator) == [[], []]


@pytest.mark.parametrize('resting', [(), ('contrast_map',)])
def test_of_a_map_that_is_meant_to_stay_nothing_is_said(resting):
  start = layer.ContrastLayer(1.0, name='contrast_map')
  network = generators.ResNet(features=2, blocks=1, start=start)
  told = listen(network, resting=resting)[1]
  assert [line.split(': ')[0] for line in told] == (
    [] if resting else ['gen_ab', 'gen_ba']
  )
  assert all(line.endswith(': contrast_map') for line in told)


def test_steps_that_are_left_out_tell_nothing():
  network = generators.UNet(features=1, levels=3, **_TUTORIAL)
  told = listen(network, broken=(0, 2), steps_made=5)
  assert [len(lines) for lines in told] == [0, 0, 0, 2]


def test_the_tutorials_network_has_a_sixth_that_never_learns():
  network = generators.UNet(**_TUTORIAL)
  shapes = jax.eval_shape(
    network.init, jax.random.key(0), jnp.zeros((1, 256, 256, 1))
  )['params']
  flat = traverse_util.flatten_dict(shapes)
  names = ('down_7', 'down_norm_7', 'up_6', 'up_norm_6')
  line = idle.describe(flat, {path: path[0] in names for path in flat})
  assert '8,390,656 of 54,408,833 parameters, 15.4%, ' in line
  line = idle.describe(flat, dict.fromkeys(flat, True))
  assert line.endswith(' and 22 more')
