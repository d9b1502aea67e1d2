"""Being asked to stop, and when it suits."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import select
import signal
import sys
import threading
import time

from cyclegan_jax import command_line
from cyclegan_jax import console

_AGAIN_SECONDS = 0.01
_DEAF_SECONDS = 10.0  # after which Python does not hear that it is asked
_LOOK_SECONDS = 0.1
_NUMBERS = (signal.SIGINT, signal.SIGTERM)
# A byte for each signal: written by the interpreter as it comes, whatever a
# library is at; read once Python hears of it.
_SENT, _SEND = os.pipe()
os.set_blocking(_SENT, False)
os.set_blocking(_SEND, False)


def interrupt():
  """From here on SIGINT and SIGTERM raise KeyboardInterrupt, until heard.

  Raised where nothing can be, in a destructor or in what JAX has collect its
  garbage, Python tells it and forgets it: there it is raised again, soon after.
  Where a library is at work for long, or for good, Python does not hear: then
  the process ends all the same, if it listens for a stop at the second one.
  """
  tell = sys.unraisablehook

  def raise_later(unraisable):
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
      tell(unraisable)
      return
    # Not at once: that would be within this function.
    again = threading.Timer(
      _AGAIN_SECONDS, os.kill, (os.getpid(), signal.SIGINT)
    )
    again.daemon = True
    again.start()

  sys.unraisablehook = raise_later
  for number in _NUMBERS:
    signal.signal(number, _raise)
  signal.set_wakeup_fd(_SEND, warn_on_full_buffer=False)
  threading.Thread(target=_watch, daemon=True).start()


def leave_to_others():
  """From here on others take care of signals, as JAX's runtime does."""
  signal.set_wakeup_fd(-1)


@contextlib.contextmanager
def listen(when: str) -> Iterator[Callable[[], bool]]:
  """Within, SIGINT and SIGTERM ask for a stop; a second SIGINT insists.

  Args:
    when: the stop is to be expected, for the person who asked.

  Yields:
    A function: whether a stop has been asked for.
  """
  asked = threading.Event()

  def ask(signum, frame):
    del frame
    _hear()
    if asked.is_set() and signum == signal.SIGINT:
      raise KeyboardInterrupt
    asked.set()
    console.say(f'stopping {when} ...')

  previous = {number: signal.signal(number, ask) for number in _NUMBERS}
  try:
    yield asked.is_set
  finally:
    for number, handler in previous.items():
      signal.signal(number, handler)


def _raise(signum, frame):
  del signum, frame
  _hear()
  raise KeyboardInterrupt


def _hear():
  with contextlib.suppress(BlockingIOError):
    os.read(_SENT, 2**16)


def _watch():
  """Ends a process that does not hear: at once, or if it listens when asked
  again.
  """
  told = False
  while True:
    select.select([_SENT], [], [])
    if _is_heard(within=1.0 if told else _DEAF_SECONDS):
      told = False
      continue
    if told or signal.getsignal(signal.SIGTERM) is _raise:
      line = 'interrupted; the same command goes on from what is done'
      command_line.end(line, status=1, at_once=True)
    told = True
    _hear()  # for Python, which comes to it later
    # After that: who reads this may ask again at once.
    console.say(
      'asked to stop, and still at work; asked again, it ends at once'
    )


def _is_heard(*, within):
  last = time.monotonic() + within
  while select.select([_SENT], [], [], 0)[0]:
    if time.monotonic() > last:
      return False
    time.sleep(_LOOK_SECONDS)
  return True
