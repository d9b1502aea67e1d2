"""Everything that changes while training, as one immutable pytree.

A generator is named by its direction, a discriminator by the domain it judges:
`gen_ab`, `gen_ba`, `disc_a`, `disc_b` are the G, F, D_X and D_Y of the paper.
"""

from flax import linen as nn
from flax import struct
from flax.training import train_state
import jax
import jax.numpy as jnp
import optax

from cyclegan_jax import array_types
from cyclegan_jax import image_pool

NETWORKS = ('gen_ab', 'gen_ba', 'disc_a', 'disc_b')


class CycleGANState(struct.PyTreeNode):
  """Four networks with their optimizers, and the past fakes of each domain."""

  gen_ab: train_state.TrainState
  gen_ba: train_state.TrainState
  disc_a: train_state.TrainState
  disc_b: train_state.TrainState
  pool_a: image_pool.ImagePool
  pool_b: image_pool.ImagePool

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


def create_state(
  key: array_types.Key,
  *,
  generator: nn.Module,
  discriminator: nn.Module,
  tx: optax.GradientTransformation,
  image_shape: tuple[int, int, int],
  pool_size: int,
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
  """
  images = jnp.zeros((1, *image_shape))

  def create(module, key):
    return train_state.TrainState.create(
      apply_fn=module.apply, params=module.init(key, images)['params'], tx=tx
    )

  modules = (generator, generator, discriminator, discriminator)
  keys = jax.random.split(key, len(NETWORKS))
  networks = map(create, modules, keys)
  return CycleGANState(
    **dict(zip(NETWORKS, networks, strict=True)),
    pool_a=image_pool.create_pool(pool_size, image_shape),
    pool_b=image_pool.create_pool(pool_size, image_shape),
  )
