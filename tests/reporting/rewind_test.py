"""A log is taken back to the step that a run goes on from."""

import json

from cyclegan_jax.reporting import rewind


def write_lines(path, *lines):
  path.write_text(''.join(json.dumps(line) + '\n' for line in lines))


def read_steps(path):
  return [json.loads(line)['step'] for line in path.read_text().splitlines()]


def test_lines_that_a_kill_has_undone_are_dropped(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  write_lines(path, *({'step': step} for step in (1, 2, 3, 4)))
  with path.open('a') as file:
    file.write('{"step": 1, "epo')  # killed within a line
  with rewind.open_lines(path, 3) as file:
    file.write(b'{"step": 4, "new": true}\n')
  assert read_steps(path) == [1, 2, 3, 4]
  assert path.read_text().splitlines()[-1] == '{"step": 4, "new": true}'


def test_lines_of_an_end_that_is_none_are_dropped(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  write_lines(
    path, {'step': 2}, {'step': 3}, {'step': 3, 'final': True}, {'step': 4}
  )
  rewind.open_lines(path, 3).close()
  assert path.read_text() == '{"step": 2}\n{"step": 3}\n'


def test_a_run_from_the_start_has_an_empty_log(tmp_path):
  path = tmp_path / 'run' / 'metrics.jsonl'
  rewind.open_lines(path, 0).close()
  assert path.read_text() == ''
  write_lines(path, {'step': 0}, {'step': 1})
  rewind.open_lines(path, 0).close()
  assert path.read_text() == ''
  assert list(path.parent.iterdir()) == [path]


def test_samples_of_later_steps_are_removed_and_nothing_else(tmp_path):
  samples = tmp_path / 'samples'
  samples.mkdir()
  kept = ('step_0000004.png', 'step_mine.png', 'step_9.txt', 'other_9.png')
  for name in (*kept, 'step_0000005.png', 'step_0000012.png'):
    (samples / name).touch()
  rewind.forget_samples(tmp_path, 4)
  assert {path.name for path in samples.iterdir()} == set(kept)
  rewind.forget_samples(tmp_path / 'nowhere', 4)
