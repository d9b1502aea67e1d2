"""What the log takes from the devices, and when."""

import numpy as np
import pytest

from cyclegan_jax.reporting import logbook as logbook_lib


class Metric:
  """A number on a device that notes when it is asked for."""

  def __init__(self, asked, step):
    self._asked, self._step = asked, step

  def __array__(self, dtype=None, copy=None):
    del copy
    self._asked.append(self._step)
    return np.asarray(1.0, dtype)


@pytest.fixture
def logbook(tmp_path):
  log = logbook_lib.Logbook(
    tmp_path,
    start=0,
    num_steps=100,
    recipe_steps=100,
    steps_per_epoch=1000,
    batch_size=1,
    log_every=15,
    schedule=lambda _: 1e-3,
    on_cpu=False,
  )
  yield log
  log.close()


def test_nothing_is_fetched_between_two_lines(logbook):
  """Once it has told how long the run will take, in its first steps."""
  asked = []
  for step in range(1, 45):
    logbook.record(
      step, {name: Metric(asked, step) for name in logbook_lib.TOTALS}
    )
    if step == 30:
      before = len(asked)
  assert before == 30 * len(logbook_lib.TOTALS)
  assert len(asked) == before, 'steps 31 to 44 are left where they are'
  logbook.record(45, dict.fromkeys(logbook_lib.TOTALS, Metric(asked, 45)))
  assert set(asked[before:]) == set(range(31, 46))


def test_a_discriminator_that_has_won_is_told_once(logbook, capsys):
  """Of windows of 15 steps the 34th ends the first 500 below 0.05."""
  metrics = dict.fromkeys(logbook_lib.TOTALS, 0.3)
  said = []
  for step in range(1, 601):
    if step > 15:
      metrics['discriminator_b'] = 0.04
    logbook.record(step, metrics)
    if 'discriminator b has won' in capsys.readouterr().out:
      said.append(step)
  assert said == [525]


def test_a_warning_is_said_once(logbook, capsys):
  logbook.warn({'polarity_ab': 'kept'})
  logbook.warn({'polarity_ab': 'kept', 'polarity_ba': 'also kept'})
  lines = capsys.readouterr().out.splitlines()
  assert [line.split(': ')[-1] for line in lines] == ['kept', 'also kept']


def test_sums_are_of_the_step_they_were_taken_at(logbook):
  """Later steps do not reach what a checkpoint is still being written of."""
  logbook.record(1, dict.fromkeys(logbook_lib.TOTALS, 1.0))
  taken = logbook.sums()
  logbook.record(2, dict.fromkeys(logbook_lib.TOTALS, 1.0))
  assert logbook.sums()['window']['count'] == 2
  assert taken['window']['count'] == taken['epoch']['generator_ab'] == 1
