"""Progress: one bar on a terminal, lines elsewhere, and neither goes back."""

import re

import pytest

from cyclegan_jax import console


@pytest.fixture
def hurried(monkeypatch):
  """Every line is due."""
  monkeypatch.setattr(console, '_SECONDS', -1)


def test_lines_tell_of_several_things(hurried, capsys):
  with console.follow(2) as start:
    for number, name in enumerate(('anna', 'bert'), 1):
      report = start(number, name)
      for done in (0, 10, 20):
        report(done, 20)
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == '1 of 2: anna: 0 of 20'
  assert lines[-1] == '2 of 2: bert: 20 of 20'
  assert len(lines) == 6


def test_one_bar_goes_forward_over_all(monkeypatch, capsys):
  monkeypatch.setattr(console, 'on_terminal', lambda: True)
  monkeypatch.setenv('TQDM_MININTERVAL', '0')
  with console.follow(2) as start:
    for number, name in enumerate(('anna', 'bert'), 1):
      report = start(number, name)
      for done in (5, 20, 10):  # 10: what is told late does not count
        report(done, 20)
  captured = capsys.readouterr()
  assert captured.out == ''
  shown = [int(x) for x in re.findall(r'(\d+)%', captured.err)]
  assert shown == sorted(shown) and shown[-1] >= 50
  assert '2 of 2: bert' in captured.err
