"""Two trainings in one workdir: the second is told, and touches nothing."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import platform
import subprocess
import sys
import threading
import time

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


def test_a_killed_process_holds_nothing(tmp_path, capsys):
  with another_process(tmp_path) as process:
    process.kill()
    process.wait()
    for _ in range(2):
      workdir_lock.check(tmp_path)
      with workdir_lock.hold(tmp_path):
        pass
  said = capsys.readouterr().out  # by the first; the second finds it clean
  assert said.count(f'was left by process {process.pid} on') == 1


def leave_lock(workdir, *, host, process=1, age=0):
  """As another machine leaves it whose locks are not seen here."""
  path = workdir / '.lock'
  holder = {'process': process, 'host': host, 'since': 'x', 'boot': host}
  path.write_text(json.dumps(holder))
  then = time.time() - age
  os.utime(path, (then, then))
  return path


def test_a_lock_of_another_host_that_is_refreshed_is_respected(
  tmp_path, monkeypatch
):
  path = leave_lock(tmp_path, host='elsewhere')
  monkeypatch.setattr(time, 'sleep', lambda _: os.utime(path, (9e8, 9e8)))
  message = 'being trained in by process 1 on elsewhere since x'
  with (
    pytest.raises(errors.UserError, match=message),
    workdir_lock.hold(tmp_path),
  ):
    pass
  assert json.loads(path.read_text())['host'] == 'elsewhere'


@pytest.mark.parametrize('age', [0, 20, 1000])
def test_a_stale_lock_of_another_host_is_taken_over(
  tmp_path, monkeypatch, capsys, age
):
  """After what is left of a minute without a sign."""
  leave_lock(tmp_path, host='elsewhere', age=age)
  clock = [0.0]
  monkeypatch.setattr(time, 'monotonic', lambda: clock[0])

  def sleep(seconds):
    clock[0] += seconds

  monkeypatch.setattr(time, 'sleep', sleep)
  with workdir_lock.hold(tmp_path):
    holder = json.loads((tmp_path / '.lock').read_text())
    assert holder['process'] == os.getpid()
  waited = max(workdir_lock.STALE_SECONDS - age, 0)
  assert waited - 1 <= clock[0] <= waited + 2
  assert 'left by process 1 on elsewhere, which has' in capsys.readouterr().out
  assert (tmp_path / '.lock').read_text() == ''


def test_without_the_kernels_locks_the_file_decides(tmp_path, monkeypatch):
  monkeypatch.setattr(workdir_lock, 'fcntl', None)
  with workdir_lock.hold(tmp_path):
    message = f'by process {os.getpid()} on {platform.node()}'
    with (
      pytest.raises(errors.UserError, match=message),
      workdir_lock.hold(tmp_path),
    ):
      pass


def test_who_has_it_refreshes_it(tmp_path, monkeypatch):
  refreshed = threading.Event()
  monkeypatch.setattr(workdir_lock, 'REFRESH_SECONDS', 0.001)
  monkeypatch.setattr(os, 'utime', lambda path: refreshed.set())
  with workdir_lock.hold(tmp_path):
    assert refreshed.wait(30)


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


def test_who_was_taken_for_dead_notices_and_leaves_it(tmp_path, monkeypatch):
  monkeypatch.setattr(workdir_lock, 'REFRESH_SECONDS', 0.001)
  with workdir_lock.hold(tmp_path) as take:
    still_ours = take()
    assert still_ours()
    path = leave_lock(tmp_path, host='elsewhere')
    deadline = time.monotonic() + 30
    while still_ours() and time.monotonic() < deadline:
      threading.Event().wait(0.001)
    assert not still_ours()
  assert json.loads(path.read_text())['host'] == 'elsewhere'
