"""The generators of a state in use: to the other domain, and back again."""

from cyclegan_jax import array_types
from cyclegan_jax import precision
from cyclegan_jax.gan import state as state_lib


def translate(
  state: state_lib.CycleGANState, batch: array_types.Batch
) -> dict[str, array_types.Images]:
  """{'fake_a', 'fake_b'} of a batch, each [B, H, W, C], without dropout."""
  return {
    'fake_b': generate(state, 'gen_ab', batch['a']),
    'fake_a': generate(state, 'gen_ba', batch['b']),
  }


def reconstruct(
  state: state_lib.CycleGANState, batch: array_types.Batch
) -> dict[str, array_types.Images]:
  """As `translate`, and the round trips {'cycled_a', 'cycled_b'}."""
  fakes = translate(state, batch)
  return fakes | {
    'cycled_a': generate(state, 'gen_ba', fakes['fake_b']),
    'cycled_b': generate(state, 'gen_ab', fakes['fake_a']),
  }


def generate(
  state: state_lib.CycleGANState, name: str, images: array_types.Images
) -> array_types.Images:
  """Images [B, H, W, C] translated by the generator of that name."""
  params = state.averages.get(name, getattr(state, name).params)
  with precision.exactly():  # they are looked at and scored
    return getattr(state, name).apply_fn({'params': params}, images)
