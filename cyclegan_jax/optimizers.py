"""Adam with a rate that holds, then decays linearly."""

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
  if decay_steps == 0:
    return optax.constant_schedule(learning_rate)
  return optax.linear_schedule(
    learning_rate,
    0.0,
    transition_steps=decay_steps,
    transition_begin=num_steps - decay_steps,
  )


def adam(
  schedule: optax.Schedule, *, beta1: float, beta2: float
) -> optax.GradientTransformation:
  """Kingma and Ba 2015, at the rate `schedule(update)`."""
  return optax.adam(schedule, b1=beta1, b2=beta2)
