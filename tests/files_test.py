"""What a killed process leaves half-written is hidden, and goes."""

import os
import platform
import subprocess
import sys

import pytest

from cyclegan_jax import files


@pytest.fixture
def dead():
  """The number of a process that has ended."""
  code = 'import os; print(os.getpid())'
  return int(subprocess.check_output([sys.executable, '-c', code]))


def test_a_file_appears_whole_or_not_at_all(tmp_path):
  path = tmp_path / 'new' / 'x.txt'
  with pytest.raises(RuntimeError), files.replace_file(path) as partial:
    partial.write_text('half')
    raise RuntimeError
  assert not list(path.parent.iterdir())
  with files.replace_file(path) as partial:
    assert partial.name == path.name
    partial.write_text('whole')
    assert not path.exists()
  assert path.read_text() == 'whole'
  assert [each.name for each in path.parent.iterdir()] == ['x.txt']


def test_two_writers_do_not_meet(tmp_path):
  path = tmp_path / 'x.txt'
  with files.replace_file(path) as first, files.replace_file(path) as second:
    first.write_text('first')
    second.write_text('second')
  assert path.read_text() == 'first'  # whose turn came last


def test_only_what_the_dead_have_left_is_swept(tmp_path, dead):
  host = f'{platform.node()}.{files.process_space()}'
  for name in (
    f'.partial-{host}-{dead}-abc',
    f'.partial-{host}-{os.getpid()}-abc',
    f'.partial-far-away-{dead}-abc',
    f'.partial-far-away-{dead}-old',
    '.partial-x.nii-old',  # as versions up to 0.1.0 named them
    'partial',
  ):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'x.nii').write_text('half')
    if name.endswith('-old'):
      os.utime(tmp_path / name, (0, 0))
  (tmp_path / '.partial-file-1-abc').write_text('of somebody else')
  with files.partial_folder(tmp_path) as mine:
    files.sweep(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(
      [
        mine.name,
        f'.partial-{host}-{os.getpid()}-abc',
        f'.partial-far-away-{dead}-abc',
        '.partial-file-1-abc',
        'partial',
      ]
    )
  files.sweep(tmp_path / 'nowhere')
