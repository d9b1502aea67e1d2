"""Losses and whole steps against PyTorch's, in double precision."""

import functools

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cyclegan_jax.gan import image_pool
from cyclegan_jax.gan import losses
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import steps
from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators

torch = pytest.importorskip('torch', reason='PyTorch is not installed')

from benchmarks import torch_cyclegan  # noqa: E402  needs it

_SIDE = 16
_GENERATORS = {
  'resnet': (
    generators.ResNet(features=2, blocks=1),
    functools.partial(torch_cyclegan.ResNet, 2, 1),
  ),
  'unet': (
    generators.UNet(features=2, levels=3),
    functools.partial(torch_cyclegan.UNet, 2, 3),
  ),
}
_DISCRIMINATOR = (
  discriminators.PatchDiscriminator(features=2, layers=2),
  functools.partial(torch_cyclegan.PatchDiscriminator, 2, layers=2),
)
_PAPER = steps.Objective('lsgan', cycle=10.0, identity=5.0, discriminator=0.5)
_ARTICLE = steps.Objective('bce', cycle=1.0, identity=1.0, discriminator=0.5)


@pytest.fixture(autouse=True)
def double():
  with jax.enable_x64(True):
    yield


@pytest.mark.parametrize('kind', losses.KINDS)
@pytest.mark.parametrize('real', [True, False])
def test_adversarial_losses_are_theirs(kind, real):
  scores = np.random.default_rng(0).normal(0, 3, (2, 5, 4, 1))
  ours = losses.adversarial_loss(jnp.asarray(scores), real=real, kind=kind)
  theirs = torch_cyclegan.judge(torch.from_numpy(scores), float(real), kind)
  np.testing.assert_allclose(ours, theirs.item(), rtol=1e-12)


@pytest.mark.parametrize('loss', [losses.cycle_loss, losses.identity_loss])
def test_differences_are_theirs(loss):
  first, second = np.random.default_rng(0).uniform(-1, 1, (2, 3, 8, 6, 1))
  ours = loss(jnp.asarray(first), jnp.asarray(second))
  theirs = torch.nn.functional.l1_loss(*map(torch.from_numpy, (first, second)))
  np.testing.assert_allclose(ours, theirs.item(), rtol=1e-12)


def make_batch():
  a, b = np.random.default_rng(1).uniform(-1, 1, (2, 2, _SIDE, _SIDE, 1))
  return {'a': a, 'b': b}


def start_ours(generator):
  """A state whose every number is double, and no pools."""
  tx = optax.adam(2e-4, b1=0.5, b2=0.999)
  modules = (generator, generator, _DISCRIMINATOR[0], _DISCRIMINATOR[0])
  images = jax.ShapeDtypeStruct((1, _SIDE, _SIDE, 1), np.float64)
  rng = np.random.default_rng(2)
  networks = {}
  for name, module in zip(state_lib.NETWORKS, modules, strict=True):
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)['params']
    networks[name] = state_lib.train_state.TrainState.create(
      apply_fn=module.apply,
      params=jax.tree.map(
        lambda x: jnp.asarray(rng.normal(0, 0.2, x.shape)), shapes
      ),
      tx=tx,
    )
  pool = image_pool.create_pool(0, (_SIDE, _SIDE, 1))
  return state_lib.CycleGANState(
    **networks, pool_a=pool, pool_b=pool, averages={}
  )


def start_theirs(state, make_generator, objective):
  """PyTorch's step from the same parameters."""
  networks = {}
  for name in state_lib.NETWORKS:
    make = make_generator if name.startswith('gen') else _DISCRIMINATOR[1]
    params = flatten(getattr(state, name).params)
    with torch.device('meta'):
      network = make()
    networks[name] = torch_cyclegan.load(
      network, lambda path, shape, params=params: params[path]
    )
  batch = {
    domain: torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    for domain, images in make_batch().items()
  }
  return torch_cyclegan.Step(networks, batch, **objective._asdict())


def flatten(tree):
  flat = traverse_util.flatten_dict(tree, sep='/')
  # Copies: PyTorch updates in place.
  return {path: np.array(array) for path, array in flat.items()}


def assert_close(ours, theirs):
  assert ours.keys() == theirs.keys()
  for path, array in theirs.items():
    assert ours[path].dtype == np.float64
    np.testing.assert_allclose(
      ours[path], array, atol=1e-8, rtol=1e-8, err_msg=path
    )


@pytest.mark.parametrize(
  'generator,objective',
  [('resnet', _PAPER), ('unet', _PAPER), ('unet', _ARTICLE)],
)
def test_updates_are_theirs(generator, objective):
  """After one, two and five: parameters, both moments of Adam, all terms."""
  module, make = _GENERATORS[generator]
  state = start_ours(module)
  theirs = start_theirs(state, make, objective)
  step = jax.jit(functools.partial(steps.train_step, objective=objective))
  batch = jax.tree.map(jnp.asarray, make_batch())
  for done in range(1, 6):
    state, metrics = step(state, batch, jax.random.key(0))
    for name, value in theirs().items():
      np.testing.assert_allclose(metrics[name], value, rtol=1e-8)
    if done not in (1, 2, 5):
      continue
    for name in state_lib.NETWORKS:
      ours, network = getattr(state, name), theirs.networks[name]
      adam = theirs.gen_adam if name.startswith('gen') else theirs.disc_adam
      moments = ours.opt_state[0]
      assert_close(flatten(ours.params), torch_cyclegan.unload(network))
      for mine, other in ((moments.mu, 'exp_avg'), (moments.nu, 'exp_avg_sq')):
        found = torch_cyclegan.unload(
          network, lambda p, adam=adam, other=other: adam.state[p][other]
        )
        assert_close(flatten(mine), found)
        assert all(array.any() for array in found.values())
