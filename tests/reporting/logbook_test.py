"""What the log takes from the devices, and when."""

import json

import numpy as np
import pytest

from cyclegan_jax.reporting import averages
from cyclegan_jax.reporting import logbook as logbook_lib
from cyclegan_jax.reporting import outlet

_GOOD = dict.fromkeys(averages.TOTALS, 1.0) | {'skipped': 0.0}
_BAD = _GOOD | {'generator_ba': float('nan'), 'skipped': 1.0}


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
    outlet.Files(tmp_path, 0),
    start=0,
    num_steps=100,
    recipe_steps=100,
    steps_per_epoch=1000,
    batch_size=1,
    log_every=15,
    schedule=lambda _: 1e-3,
    on_cpu=False,
    name_slices='slices of {}'.format,
    max_bad_steps=20,
  )
  yield log
  log.close()


def test_nothing_is_fetched_between_two_lines(logbook):
  """Once it has told how long the run will take, in its first steps."""
  asked = []
  for step in range(1, 45):
    logbook.record(
      step,
      {name: Metric(asked, step) for name in averages.TOTALS}
      | {'skipped': 0.0},
    )
    if step == 30:
      before = len(asked)
  assert before == 30 * len(averages.TOTALS)
  assert len(asked) == before, 'steps 31 to 44 are left where they are'
  last = dict.fromkeys(averages.TOTALS, Metric(asked, 45))
  logbook.record(45, last | {'skipped': 0.0})
  assert set(asked[before:]) == set(range(31, 46))


def test_a_discriminator_that_has_won_is_told_once(logbook, capsys):
  """Of windows of 15 steps the 34th ends the first 500 below 0.05."""
  metrics = dict.fromkeys(averages.TOTALS, 0.3) | {'skipped': 0.0}
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
  logbook.record(1, _GOOD)
  taken = logbook.sums()
  logbook.record(2, _GOOD)
  assert logbook.sums()['window']['count'] == 2
  assert taken['window']['count'] == taken['epoch']['generator_ab'] == 1


def read_lines(folder):
  text = (folder / 'metrics.jsonl').read_text()
  return [json.loads(line) for line in text.splitlines()]


def test_bad_steps_are_counted_and_not_averaged(logbook, tmp_path, capsys):
  for step in range(1, 31):
    logbook.record(step, _BAD if step in (4, 5, 9) else _GOOD)
  first, second = read_lines(tmp_path)
  assert first['skipped_steps'] == 3 and second['skipped_steps'] == 0
  assert first['generator_ba'] == 1.0
  said = capsys.readouterr().out
  assert (
    'generator_ba is nan at step 4, which saw slices of 4: the step' in said
  )
  assert said.count('is not applied') == 1  # one line a window


def test_a_window_without_a_good_step_has_no_averages(
  logbook, tmp_path, capsys
):
  for step in range(1, 16):
    logbook.record(step, _BAD)
  (line,) = read_lines(tmp_path)
  assert line['skipped_steps'] == 15 and 'generator_ab' not in line
  assert 'none of 15 steps was applied' in capsys.readouterr().out


def test_too_many_bad_steps_in_a_row_end_the_run(logbook):
  """Counted on in the run that goes on; one good step forgives all."""
  for step in range(1, 11):
    logbook.record(step, _GOOD if step == 2 else _BAD)
  row = logbook.sums()['bad']
  assert row == {'count': 8, 'first': 3, 'trouble': 'generator_ba is nan'}
  for step in range(11, 22):
    logbook.record(step, _BAD)
  logbook.record(22, _BAD)  # the 20th
  message = 'ba is nan at step 3, which saw slices of 3, .* 20 in all'
  with pytest.raises(FloatingPointError, match=message):
    logbook.sums()


def test_a_gradient_alone_can_be_bad(logbook, capsys):
  logbook.record(1, _GOOD | {'skipped': 1.0})
  logbook.sums()
  assert 'the gradient is not finite at step 1' in capsys.readouterr().out


def test_a_run_that_is_gone_on_with_warns_where_the_whole_one_does(
  tmp_path, capsys
):
  metrics = dict.fromkeys(averages.TOTALS, 0.01) | {'skipped': 0.0}

  def run(workdir, *ends):
    workdir.mkdir()
    start, sums = 0, None
    for end in ends:
      log = logbook_lib.Logbook(
        outlet.Files(workdir, start),
        start=start,
        num_steps=end,
        recipe_steps=1000,
        steps_per_epoch=10_000,
        batch_size=1,
        log_every=100,
        schedule=lambda _: 1e-3,
        on_cpu=False,
        name_slices='slices of {}'.format,
        max_bad_steps=20,
        sums=sums,
      )
      for step in range(start + 1, end + 1):
        log.record(step, metrics)
      start, sums = end, json.loads(json.dumps(log.sums()))
      log.close()
    capsys.readouterr()
    lines = (workdir / 'metrics.jsonl').read_text().splitlines()
    warnings = [each for each in map(json.loads, lines) if 'about' in each]
    return [(each['step'], each['about']) for each in warnings]

  whole = run(tmp_path / 'whole', 1000)
  assert whole == [(500, 'discriminator_a'), (500, 'discriminator_b')]
  assert run(tmp_path / 'stopped', 300, 1000) == whole
  assert run(tmp_path / 'within', 450, 1000) == whole
