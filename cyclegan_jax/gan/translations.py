"""The generators of a state in use: to the other domain, and back again."""

import jax.numpy as jnp

from cyclegan_jax import array_types
from cyclegan_jax import precision
from cyclegan_jax.gan import state as state_lib


def translate(
  state: state_lib.CycleGANState, batch: dict[str, array_types.Inputs]
) -> dict[str, array_types.Images]:
  """{'fake_a', 'fake_b'} of {'a', 'b'}, each [B, H, W, C], without dropout."""
  return {
    'fake_b': generate(state, 'gen_ab', batch['a']),
    'fake_a': generate(state, 'gen_ba', batch['b']),
  }


def reconstruct(
  state: state_lib.CycleGANState, batch: dict[str, array_types.Inputs]
) -> dict[str, array_types.Images]:
  """As `translate`, and the round trips {'cycled_a', 'cycled_b'}."""
  fakes = translate(state, batch)

  def put_beside(fake, source):  # a level, if the source has one
    return jnp.concatenate([fake, source[..., fake.shape[-1] :]], axis=-1)

  back_a = put_beside(fakes['fake_b'], batch['a'])
  back_b = put_beside(fakes['fake_a'], batch['b'])
  return fakes | {
    'cycled_a': generate(state, 'gen_ba', back_a),
    'cycled_b': generate(state, 'gen_ab', back_b),
  }


def generate(
  state: state_lib.CycleGANState, name: str, images: array_types.Inputs
) -> array_types.Images:
  """Images [B, H, W, C] translated by the generator of that name."""
  params = state.averages.get(name, getattr(state, name).params)
  with precision.exactly():  # they are looked at and scored
    return getattr(state, name).apply_fn({'params': params}, images)
