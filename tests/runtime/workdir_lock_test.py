"""Two trainings in one workdir: the second is told, and touches nothing."""

import contextlib
import errno
import fcntl
import pathlib
import platform
import subprocess
import sys

import pytest

from configs import smoke
from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import train
from cyclegan_jax.runtime import workdir_lock

_ROOT = pathlib.Path(__file__).parents[2]
_HOLDER = """
import pathlib, sys
from cyclegan_jax.runtime import workdir_lock
with workdir_lock.hold(pathlib.Path(sys.argv[1])):
  print('held', flush=True)
  sys.stdin.read()
"""


@contextlib.contextmanager
def another_process(workdir):
  process = subprocess.Popen(
    [sys.executable, '-c', _HOLDER, str(workdir)],
    cwd=_ROOT,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  with process:
    try:
      assert process.stdout.readline() == 'held\n'
      yield process
    finally:
      process.kill()


def look(workdir):
  """All that can be seen of a folder from outside."""
  return {
    path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
    for path in [workdir, *workdir.rglob('*')]
  }


@pytest.mark.parametrize('start', [train.train, checks.check_training])
def test_a_second_training_is_refused_and_touches_nothing(tmp_path, start):
  (tmp_path / 'checkpoints' / '4.orbax-checkpoint-tmp').mkdir(parents=True)
  with another_process(tmp_path) as process:
    before = look(tmp_path)
    holder = f'process {process.pid} on {platform.node()} since 20'
    with pytest.raises(errors.UserError, match=f'trained in by {holder}'):
      start(smoke.get_config(), str(tmp_path))
    assert look(tmp_path) == before


def test_a_killed_process_holds_nothing(tmp_path):
  with another_process(tmp_path) as process:
    process.kill()
    process.wait()
    for _ in range(2):
      workdir_lock.check(tmp_path)
      with workdir_lock.hold(tmp_path):
        pass


def test_a_new_workdir_is_made_and_taken_when_it_is_needed(tmp_path):
  workdir = tmp_path / 'new' / 'run'
  with workdir_lock.hold(workdir):
    assert not workdir.exists()
  with workdir_lock.hold(workdir) as take, workdir_lock.hold(workdir) as other:
    take()
    take()
    with pytest.raises(errors.UserError, match='is being trained in'):
      other()


def test_where_nothing_can_be_locked_it_is_said(tmp_path, monkeypatch, capsys):
  def refuse(file, operation):
    raise OSError(errno.ENOLCK, 'No locks available')

  monkeypatch.setattr(fcntl, 'flock', refuse)
  workdir_lock.check(tmp_path)
  with workdir_lock.hold(tmp_path):
    workdir_lock.check(tmp_path)
  assert 'cannot be locked (No locks available)' in capsys.readouterr().out
