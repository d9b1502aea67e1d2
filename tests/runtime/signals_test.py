"""Asked to stop: once is a wish, twice by hand an order."""

import pathlib
import signal
import subprocess
import sys
import threading
import types

import jax
from jax.experimental import multihost_utils
import pytest

from cyclegan_jax.runtime import processes
from cyclegan_jax.runtime import signals

_ROOT = pathlib.Path(__file__).parents[2]
# A lock that is taken twice: Python hears nothing any more, as where a library
# waits for what does not come.
_HANG = """
import contextlib, ctypes, sys
from cyclegan_jax.runtime import signals

signals._DEAF_SECONDS = 0.2
signals.interrupt()
with signals.listen('soon') if sys.argv[1:] else contextlib.nullcontext():
  lock = ctypes.create_string_buffer(64)
  wait = ctypes.CDLL(None).pthread_mutex_lock
  wait(lock)  # for nobody: from here on it waits for itself
  print('hangs', flush=True)
  while True:
    wait(lock)
"""


@pytest.fixture(autouse=True)
def handlers():
  """What was in place before is again, whatever has happened."""
  numbers = (signal.SIGINT, signal.SIGTERM)
  before = [signal.getsignal(number) for number in numbers]
  yield
  assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_noted_and_told(number, capsys):
  with signals.listen('after this step') as stopped:
    assert not stopped()
    signal.raise_signal(number)
    assert stopped()
  assert capsys.readouterr().out == 'stopping after this step ...\n'


def test_a_second_one_by_hand_insists():
  with signals.listen('soon') as stopped:
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)  # a scheduler repeats itself
    assert stopped()
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)


def test_each_listener_is_asked_anew():
  with signals.listen('soon') as outer:
    with signals.listen('now') as inner:
      signal.raise_signal(signal.SIGTERM)
      assert inner() and not outer()
    signal.raise_signal(signal.SIGTERM)
    assert outer()


def test_an_error_leaves_nothing_in_place():
  with pytest.raises(ZeroDivisionError), signals.listen('soon'):
    raise ZeroDivisionError  # the fixture looks at what is left


def test_an_interrupt_that_cannot_be_raised_is_raised_again(monkeypatch):
  """As where garbage is collected; whatever else is told as before."""
  told = []
  monkeypatch.setattr(sys, 'unraisablehook', told.append)
  previous = {
    number: signal.getsignal(number)
    for number in (signal.SIGINT, signal.SIGTERM)
  }
  try:
    signals.interrupt()
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGTERM)
    sys.unraisablehook(types.SimpleNamespace(exc_value=ValueError()))
    assert len(told) == 1
    with pytest.raises(KeyboardInterrupt):
      sys.unraisablehook(types.SimpleNamespace(exc_value=KeyboardInterrupt()))
      threading.Event().wait(60)
    assert len(told) == 1
  finally:
    signals.leave_to_others()
    for number, handler in previous.items():
      signal.signal(number, handler)


def test_processes_agree_on_a_stop_also_where_a_run_goes_on(monkeypatch):
  """The runtime stops at a number of its own, which is not to be left out."""
  numbers = []
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  monkeypatch.setattr(
    multihost_utils, 'reached_preemption_sync_point', numbers.append
  )
  with processes.listen('once this is compiled') as stopped:
    stopped()
  with processes.listen('after this step') as stopped:
    for _ in range(3):
      stopped()
  assert numbers == [1, 1, 2, 3]


@pytest.mark.skipif(sys.platform != 'linux', reason='glibc has such a lock')
@pytest.mark.parametrize('listening', [(), ('listening',)])
def test_a_process_that_hangs_in_a_library_ends(listening):
  """At the first signal, or if it listens for a stop at the second."""
  process = subprocess.Popen(
    [sys.executable, '-c', _HANG, *listening],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == 'hangs\n'
  stat = pathlib.Path(f'/proc/{process.pid}/stat')
  while stat.read_text().rpartition(')')[2].split()[0] != 'S':
    pass  # it has said that it will wait, and is about to
  process.terminate()
  if listening:
    assert process.stdout.readline().startswith('asked to stop, and still')
    process.terminate()
  _, stderr = process.communicate(timeout=60)
  assert process.returncode == 1
  assert stderr.startswith(
    'cyclegan-jax: interrupted; the same command goes on'
  )
