"""The learning rate: it holds, then decays linearly."""

import optax


def hold_then_decay(
  learning_rate: float, *, num_steps: int, decay_steps: int
) -> optax.Schedule:
  """The rate of every update: constant, then linear towards 0 at `num_steps`.

  Update `num_steps - 1`, the last, still runs at `learning_rate /
  decay_steps`: no update is wasted at rate 0.

  Args:
    learning_rate: while held.
    num_steps: updates of the whole run.
    decay_steps: how many of them, at its end, decay; 0 holds to the end.
  """
  return optax.linear_schedule(
    learning_rate,
    0.0,
    transition_steps=decay_steps,
    transition_begin=num_steps - decay_steps,
  )
