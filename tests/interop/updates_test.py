"""A training that goes on from imported networks, beside PyTorch's."""

import copy
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed')

import torch_reference

from benchmarks import torch_cyclegan
from cyclegan_jax.gan import image_pool
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import steps
from cyclegan_jax.interop import layout
from cyclegan_jax.interop import recognise
from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators

_SIDE = 16
# The reference's D_A judges images of B.
_NAMES = dict(gen_ab='G_A', gen_ba='G_B', disc_a='D_B', disc_b='D_A')


@pytest.fixture
def networks():
  """Those of the reference, by its names."""
  torch.manual_seed(0)
  made = {name: torch_reference.resnet(1, 2, 1) for name in ('G_A', 'G_B')}
  return made | {
    name: torch_reference.discriminator(1, 2, 2) for name in ('D_A', 'D_B')
  }


def test_five_updates_from_it_are_theirs(networks):
  """In double precision; their biases of no effect move, and change nothing."""
  copies = {
    ours: copy.deepcopy(networks[name]).double()
    for ours, name in _NAMES.items()
  }
  a, b = np.random.default_rng(1).uniform(-1, 1, (2, 1, _SIDE, _SIDE, 1))
  theirs = torch_cyclegan.Step(
    copies,
    {
      domain: torch.from_numpy(images.transpose(0, 3, 1, 2))
      for domain, images in (('a', a), ('b', b))
    },
    **dict(cycle=10.0, identity=5.0, discriminator=0.5),
  )
  objective = steps.Objective(
    'lsgan', cycle=10.0, identity=5.0, discriminator=0.5
  )
  with jax.enable_x64(True):
    state = start(networks)
    step = jax.jit(functools.partial(steps.train_step, objective=objective))
    for _ in range(5):
      state, metrics = step(
        state, {'a': jnp.asarray(a), 'b': jnp.asarray(b)}, jax.random.key(0)
      )
      for name, value in theirs().items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-6)
  for ours, network in copies.items():
    _, params = recognise_network(network)
    chex.assert_trees_all_close(
      *(jax.device_get(getattr(state, ours).params), params), atol=1e-5, rtol=0
    )
    _, before = recognise_network(networks[_NAMES[ours]])
    moved = jax.tree.map(lambda x, y: np.abs(x - y).max(), params, before)
    assert min(jax.tree.leaves(moved)) > 5e-4


def recognise_network(network):
  tensors = {name: x.numpy() for name, x in network.state_dict().items()}
  tensors = {name: x.astype(np.float32) for name, x in tensors.items()}
  kind, own = recognise.recognise(tensors, 'it')
  return kind, layout.to_params(kind, own)


def start(networks):
  """A state of double precision without pools, of imported networks."""
  generator = generators.ResNet(features=2, blocks=1)
  judge = discriminators.PatchDiscriminator(features=2, layers=2)
  made = {}
  for ours, theirs in _NAMES.items():
    _, params = recognise_network(networks[theirs])
    made[ours] = state_lib.train_state.TrainState.create(
      apply_fn=(generator if ours.startswith('gen') else judge).apply,
      params=jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params),
      tx=optax.adam(2e-4, b1=0.5, b2=0.999),
    )
  pool = image_pool.create_pool(0, (_SIDE, _SIDE, 1))
  return state_lib.CycleGANState(**made, pool_a=pool, pool_b=pool, averages={})
