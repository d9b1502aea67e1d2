"""Being asked to stop, and when it suits."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import signal
import sys
import threading

from cyclegan_jax import console

_AGAIN_SECONDS = 0.01


def interrupt():
  """From here on SIGINT and SIGTERM raise KeyboardInterrupt, until heard.

  Raised where nothing can be, in a destructor or in what JAX has collect its
  garbage, Python tells it and forgets it: there it is raised again, soon after.
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
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.default_int_handler)


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
    if asked.is_set() and signum == signal.SIGINT:
      raise KeyboardInterrupt
    asked.set()
    console.say(f'stopping {when} ...')

  previous = {
    number: signal.signal(number, ask)
    for number in (signal.SIGINT, signal.SIGTERM)
  }
  try:
    yield asked.is_set
  finally:
    for number, handler in previous.items():
      signal.signal(number, handler)
