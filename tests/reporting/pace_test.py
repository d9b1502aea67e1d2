"""How fast a run goes, by a clock that is set by hand."""

import pytest

from cyclegan_jax.reporting import pace as pace_lib


@pytest.fixture
def clock(monkeypatch):
  """A list of one number: what time it is."""
  now = [100.0]
  monkeypatch.setattr(pace_lib.time, 'monotonic', lambda: now[0])
  return now


def create(num_steps=1000, recipe_steps=1000, on_cpu=False):
  return pace_lib.Pace(
    num_steps=num_steps, recipe_steps=recipe_steps, on_cpu=on_cpu
  )


def go(pace, clock, seconds, steps):
  for step in steps:
    clock[0] += seconds
    pace.tick(step)


def test_the_first_step_and_pauses_do_not_count(clock):
  pace = create()
  assert pace.take_window() is None and pace.left(0) is None
  go(pace, clock, 30.0, [1])  # compiles
  assert pace.take_window() is None
  go(pace, clock, 0.5, [2, 3])
  clock[0] += 60  # a checkpoint is written
  pace.pause()
  go(pace, clock, 0.5, [4, 5])
  assert pace.take_window() == pytest.approx(2)
  assert pace.left(5) == pytest.approx(995 * 0.5)


def test_a_window_is_that_since_the_last_one(clock):
  pace = create()
  go(pace, clock, 1.0, range(1, 12))
  assert pace.take_window() == pytest.approx(1)
  go(pace, clock, 0.25, range(12, 17))
  assert pace.take_window() == pytest.approx(4)
  assert pace.take_window() is None
  # The end is judged by all steps: ten of 1 s and five of a quarter.
  assert pace.left(16) == pytest.approx(984 * 11.25 / 15)


@pytest.mark.parametrize('seconds,step', [(0.1, 21), (3.0, 3), (6.0, 3)])
def test_the_estimate_is_said_once_as_soon_as_it_is_known(
  clock, capsys, seconds, step
):
  """After five seconds and two steps, or after twenty."""
  pace = create()
  go(pace, clock, seconds, range(1, step))
  assert not pace.estimated and not capsys.readouterr().out
  go(pace, clock, seconds, [step])
  assert pace.estimated
  told = capsys.readouterr().out
  assert f'{seconds:.2g} s a step; about ' in told
  assert f'for the {1000 - step} steps left' in told
  go(pace, clock, seconds, range(step + 1, 60))
  assert not capsys.readouterr().out


@pytest.mark.parametrize('on_cpu', [False, True])
def test_a_recipe_of_days_is_told_and_where_it_is_meant_to_run(
  clock, capsys, on_cpu
):
  pace = create(num_steps=3, recipe_steps=200_000, on_cpu=on_cpu)
  go(pace, clock, 3.0, [1, 2, 3])
  told = capsys.readouterr().out
  assert 'the whole recipe, 200,000 steps, takes about 6.9 days' in told
  assert 'steps left' not in told
  assert ('an accelerator is meant' in told) == on_cpu
