"""Everything that changes while training, as one immutable pytree.

A generator is named by its direction, a discriminator by the domain it judges:
`gen_ab`, `gen_ba`, `disc_a`, `disc_b` are the G, F, D_X and D_Y of the paper.
"""

from collections.abc import Callable
import functools
from typing import Any

from flax import linen as nn
from flax import struct
from flax.training import train_state
import jax
import jax.numpy as jnp
import optax

from cyclegan_jax import array_types
from cyclegan_jax.gan import image_pool

NETWORKS = ('gen_ab', 'gen_ba', 'disc_a', 'disc_b')


class CycleGANState(struct.PyTreeNode):
  """Four networks with their optimizers, and the past fakes of each domain.

  `averages` holds running averages of the generators' parameters by name, or
  nothing: they translate in place of the newest ones where they are kept.
  """

  gen_ab: train_state.TrainState
  gen_ba: train_state.TrainState
  disc_a: train_state.TrainState
  disc_b: train_state.TrainState
  pool_a: image_pool.ImagePool
  pool_b: image_pool.ImagePool
  averages: Any  # {'gen_ab', 'gen_ba'} or {}

  @property
  def step(self) -> array_types.Count:
    """Updates made so far, int32."""
    step: Any = self.gen_ab.step
    return step

  def params(self, *names: str) -> dict:
    """The parameters of the networks named."""
    return {name: getattr(self, name).params for name in names}

  def change_params(
    self, name: str, change: Callable[[Any], Any]
  ) -> 'CycleGANState':
    """Changes the parameters of a network, and their averages if any are kept.

    Args:
      name: of the network.
      change: from parameters to parameters of the same structure, on the same
        devices; called for each of the two, so that they share no memory.
    """
    network = getattr(self, name)
    averages = {
      each: change(params) if each == name else params
      for each, params in self.averages.items()
    }
    network = network.replace(params=change(network.params))
    return self.replace(**{name: network}, averages=averages)

  def apply_gradients(self, grads: dict, **changes) -> 'CycleGANState':
    """One optimizer update for each network in `grads`, plus other changes."""
    networks = {
      name: getattr(self, name).apply_gradients(grads=grads[name])
      for name in grads
    }
    return self.replace(**networks, **changes)

  def advance(
    self, after: 'CycleGANState', *, where: jax.Array
  ) -> 'CycleGANState':
    """The state `after` a step if `where`, else this one, a step further."""
    kept = jax.tree.map(
      lambda new, old: jnp.where(where, new, old), after, self
    )
    counted = {
      name: getattr(kept, name).replace(step=getattr(after, name).step)
      for name in NETWORKS
    }
    return kept.replace(**counted)

  def trees(self) -> dict[str, Any]:
    """What a checkpoint holds of it, by name.

    Pools of size 0 are left out, as are averages that are not kept.
    """
    trees = {name: getattr(self, name) for name in NETWORKS}
    if self.pool_a.images.size:
      trees['pools'] = {'a': self.pool_a, 'b': self.pool_b}
    for name, params in self.averages.items():
      trees[average_of(name)] = {'params': params}
    return trees

  def with_trees(self, trees: dict[str, Any]) -> 'CycleGANState':
    """With what `trees` gave, of a state of the same networks."""
    pools = trees.get('pools', {})
    return self.replace(
      **{name: trees[name] for name in NETWORKS},
      **{f'pool_{domain}': pool for domain, pool in pools.items()},
      averages={
        name: trees[average_of(name)]['params'] for name in self.averages
      },
    )

  def average(self, decay: float) -> 'CycleGANState':
    """Moves the averages towards the parameters of now.

    avg <- d avg + (1 - d) now, d = min(decay, (1 + t) / (10 + t)) after update
    t: at first it is quick to forget the random start. Yazici et al. 2019, "The
    Unusual Effectiveness of Averaging in GAN Training", section 3.2; the
    warm-up is TensorFlow's.
    """
    now_decay = jnp.minimum(decay, (1 + self.step) / (10 + self.step))
    now = self.params(*self.averages)
    # d * averages + (1 - d) * now, in these very products
    averages = optax.incremental_update(self.averages, now, now_decay)
    return self.replace(averages=averages)


def average_of(name: str) -> str:
  """The name in checkpoints of a network's averages."""
  return f'average_{name}'


def create_state(
  key: array_types.Key,
  *,
  generator: nn.Module,
  discriminator: nn.Module,
  tx: optax.GradientTransformation,
  image_shape: tuple[int, int, int],
  pool_size: int,
  averaged: bool = False,
) -> CycleGANState:
  """A fresh state; every network starts from a key of its own.

  Call it under `jax.jit`: outside, leaves may share a buffer and die together
  when the state is donated.

  Args:
    key: of the run.
    generator: the module both generators are instances of.
    discriminator: likewise.
    tx: the optimizer of all four.
    image_shape: [H, W, C] in training.
    pool_size: past fakes kept for each domain.
    averaged: whether averages of the generators are kept.
  """
  images = jnp.zeros((1, *image_shape))

  def create(module, key):
    return train_state.TrainState.create(
      apply_fn=_compile_apply(module),
      params=_compile_init(module)(key, images)['params'],
      tx=tx,
    )

  modules = (generator, generator, discriminator, discriminator)
  keys = jax.random.split(key, len(NETWORKS))
  networks = dict(zip(NETWORKS, map(create, modules, keys), strict=True))
  averages = {
    name: network.params
    for name, network in networks.items()
    if averaged and name.startswith('gen')
  }
  return CycleGANState(
    **networks,
    averages=averages,
    pool_a=image_pool.create_pool(pool_size, image_shape),
    pool_b=image_pool.create_pool(pool_size, image_shape),
  )


@functools.cache
def _compile_init(module):
  """`module.init`, traced once for both networks of a kind."""
  return jax.jit(module.init)


@functools.cache
def _compile_apply(module):
  """`module.apply`, traced once for all its calls in a step.

  The compiler sees one function and puts it in everywhere: the program is the
  same, and made 0.7 s sooner. Equal modules share it, as states of equal runs
  must be equal in structure.
  """
  return jax.jit(module.apply)
