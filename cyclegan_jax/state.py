"""Everything that changes while training, as one immutable pytree.

A generator is named by its direction, a discriminator by the domain it judges:
`gen_ab`, `gen_ba`, `disc_a`, `disc_b` are the G, F, D_X and D_Y of the paper.
"""

from collections.abc import Mapping
import functools
from typing import Any

from flax import linen as nn
from flax import struct
from flax.training import train_state
import jax
import jax.numpy as jnp
import numpy as np
import optax

from cyclegan_jax import array_types
from cyclegan_jax import image_pool

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
  def step(self) -> array_types.Scalar:
    """Updates made so far, [] int32."""
    return self.gen_ab.step

  def params(self, *names: str) -> dict:
    """The parameters of the networks named."""
    return {name: getattr(self, name).params for name in names}

  def apply_gradients(self, grads: dict, **changes) -> 'CycleGANState':
    """One optimizer update for each network in `grads`, plus other changes."""
    networks = {
      name: getattr(self, name).apply_gradients(grads=grads[name])
      for name in grads
    }
    return self.replace(**networks, **changes)

  def average(self, decay: float) -> 'CycleGANState':
    """Moves the averages towards the parameters of now.

    avg <- d avg + (1 - d) now, d = min(decay, (1 + t) / (10 + t)) after update
    t: at first it is quick to forget the random start. Yazici et al. 2019, "The
    Unusual Effectiveness of Averaging in GAN Training", section 3.2; the
    warm-up is TensorFlow's.
    """
    decay = jnp.minimum(decay, (1 + self.step) / (10 + self.step))
    now = self.params(*self.averages)
    return self.replace(
      averages=jax.tree.map(
        lambda old, new: decay * old + (1 - decay) * new, self.averages, now
      )
    )


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
      params=module.init(key, images)['params'],
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


def start_from_maps(
  state: CycleGANState, maps: Mapping[str, np.ndarray]
) -> CycleGANState:
  """Puts fitted contrast maps in their generators, and in their averages.

  Args:
    state: fresh; on any devices.
    maps: `values` of maps by direction, 'ab', 'ba', both or none.
  """

  def put(params, values):
    old = params['contrast_map']['values']
    new = jax.device_put(np.asarray(values, old.dtype), old.sharding)
    return params | {'contrast_map': {'values': new}}

  for direction, values in maps.items():
    name = f'gen_{direction}'
    network = getattr(state, name)
    network = network.replace(params=put(network.params, values))
    averages = state.averages
    if averages:
      averages = averages | {name: put(averages[name], values)}
    state = state.replace(**{name: network}, averages=averages)
  return state


@functools.cache
def _compile_apply(module):
  """`module.apply`, traced once for all its calls in a step.

  The compiler sees one function and puts it in everywhere: the program is the
  same, and made 0.7 s sooner. Equal modules share it, as states of equal runs
  must be equal in structure.
  """
  return jax.jit(module.apply, static_argnames='train')
