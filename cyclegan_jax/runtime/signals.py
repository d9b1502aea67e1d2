"""Being asked to stop, and when it suits."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import signal
import threading

from cyclegan_jax import console


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
