"""How fast a run goes, and what that says of its end."""

import time

from cyclegan_jax import console


class Pace:
  """Times steps; pauses and the first step, which compiles, are left out."""

  def __init__(self, *, num_steps: int, recipe_steps: int, on_cpu: bool):
    """Starts without any.

    Args:
      num_steps: after which the run ends.
      recipe_steps: after which it would end if it were not cut short.
      on_cpu: whether advice for a run of days is in place.
    """
    self._num_steps = num_steps
    self._recipe_steps = recipe_steps
    self._on_cpu = on_cpu
    self._clock = None
    # Seconds and steps since the window was last taken, and in all.
    self._window = [0.0, 0]
    self._total = [0.0, 0]
    self.estimated = False

  def tick(self, step: int):
    """After every step; as soon as that is known, says how long all take."""
    now = time.monotonic()
    if self._clock is not None:
      for timer in (self._window, self._total):
        timer[0] += now - self._clock
        timer[1] += 1
    self._clock = now
    seconds, steps = self._total
    if not self.estimated and (seconds > 5 and steps > 1 or steps == 20):
      self.estimated = True
      self._say_estimate(step, seconds / steps)

  def pause(self):
    """Leaves the time since the last step out."""
    self._clock = time.monotonic()

  def take_window(self) -> float | None:
    """Steps a second since the last call; None without any."""
    seconds, steps = self._window
    self._window = [0.0, 0]
    return steps / seconds if steps else None

  def left(self, step: int) -> float | None:
    """Seconds to the end, after `step`; None if that is not known yet."""
    seconds, steps = self._total
    return (self._num_steps - step) * seconds / steps if steps else None

  def _say_estimate(self, step, seconds_per_step):
    def duration(steps):
      return f'about {console.format_duration(steps * seconds_per_step)}'

    parts = [f'{seconds_per_step:.2g} s a step']
    left = self._num_steps - step
    if left:
      parts.append(f'{duration(left)} for the {left:,} steps left')
    if self._recipe_steps > self._num_steps:
      parts.append(
        f'the whole recipe, {self._recipe_steps:,} steps, takes '
        f'{duration(self._recipe_steps)}'
      )
    console.say('; '.join(parts))
    if self._on_cpu and self._recipe_steps * seconds_per_step > 86_400:
      console.say(
        'that is more than a day: an accelerator is meant; '
        '--config=configs/quickstart.py takes minutes on a CPU'
      )
