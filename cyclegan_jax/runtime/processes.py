"""Several processes that make one run, on JAX's own distributed runtime.

Every process does the same in the same order; the first alone writes and
speaks. What one of them notices all of them learn here.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import hashlib
import itertools
import json
import os
import platform
import signal
import socket
import sys
import threading
from typing import Any

import jax
from jax.experimental import multihost_utils
import numpy as np
from orbax.checkpoint import multihost

from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax.runtime import cluster
from cyclegan_jax.runtime import signals

# A process that says nothing for so long has ended.
_HEARTBEAT_SECONDS = 60
_START_SECONDS = 60
_LONGEST_WAIT_SECONDS = 24 * 3600  # for others that decode or compile
_LOST = (
  'another process of this run has ended or does not answer; start all of '
  'them again: the run goes on from its newest checkpoint'
)
# What the runtime says then, in some error or other.
_SIGNS = (
  'Gloo',
  'NCCL',
  'Connection closed by peer',
  'Connection reset by peer',
  'heartbeat',
  'coordination service',
  'CoordinationService',
  'Barrier failed',
  'DEADLINE_EXCEEDED',
  'UNAVAILABLE',
)


@contextlib.contextmanager
def join(spec: str) -> Iterator[None]:
  """Within, this process is one of those of its run.

  To be entered before anything touches a device. All but the first are silent.

  Args:
    spec: `config.distributed`.

  Raises:
    UserError: if the port to meet at is taken.
    PeerLost: if one of them ends before the run does.
  """
  arguments = cluster.find(spec, os.environ)
  if arguments is None:
    yield
    return
  _try_port(cluster.port_to_open(arguments, os.environ))
  with _giving_up(
    _START_SECONDS,
    f'--config.distributed={spec}: the processes of the run did not come '
    f'together within {_START_SECONDS} s; start all of them at once, where '
    "they reach the first one, or use 'off'",
  ):
    jax.distributed.initialize(
      **arguments,
      initialization_timeout=2 * _START_SECONDS,
      heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
      shutdown_timeout_seconds=_HEARTBEAT_SECONDS,
    )
  _pass_on_interrupts()
  if not is_first():
    console.silence()
  with _naming_the_lost():
    try:
      yield
    except (errors.Interrupted, errors.Unsaved, FloatingPointError):
      meet('stop')  # all have raised it; the first may have been saving
      raise
    meet('end')
  jax.distributed.shutdown()


def is_first() -> bool:
  """Whether this process speaks and writes for all."""
  return jax.process_index() == 0


def meet(place: str):
  """Waits until every process of the run is at a place.

  Through the coordinator: what devices do together gives up after 30 s where
  it is the first time.
  """
  if jax.process_count() > 1:
    wait = multihost.get_barrier_sync_fn()
    wait(key=f'cyclegan_{place}', timeout_ms=_LONGEST_WAIT_SECONDS * 1000)


def first_alone(make: Callable[[], Any], place: str) -> Any:
  """What `make` returns in the first process; None in the others.

  Args:
    make: called there; the others wait for it.
    place: a name, once in a run.

  Raises:
    UserError: in all of them, if the first one finds a mistake.
  """
  if jax.process_count() == 1:
    return make()
  made = mistake = None
  if is_first():
    try:
      made = make()
    except errors.UserError as error:
      mistake = str(error)
  meet(place)
  mistake = tell_facts(mistake)
  if mistake:
    raise errors.UserError(mistake)
  return made


def in_turn(make: Callable[[], Any], place: str) -> Any:
  """What `make` returns in each; the first makes it before the others.

  What it leaves in a cache is then there for them.
  """
  made = first_alone(make, place)
  if not is_first():
    made = make()
  meet(f'{place} in all')
  return made


def tell_all(tree: Any) -> Any:
  """What the first process has of a tree of arrays of known shapes.

  Args:
    tree: of NumPy arrays; in the others of the same shapes and types.
  """
  if jax.process_count() == 1:
    return tree
  return jax.tree.map(np.asarray, multihost_utils.broadcast_one_to_all(tree))


def tell_facts(facts: Any) -> Any:
  """What JSON can hold, as the first process has it.

  Args:
    facts: what the others have does not matter.
  """
  if jax.process_count() == 1:
    return facts
  text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
  size = int(tell_all(np.int32(len(text))))
  text = np.resize(text, size) if len(text) else np.zeros(size, np.uint8)
  return json.loads(tell_all(text).tobytes())


def check_same(things: Mapping[str, Any]):
  """Raises `UserError` unless every process has the same, naming what differs.

  Args:
    things: by what they are called; compared by their `repr`.
  """
  for name, thing in things.items():
    others = _gather(repr(thing))
    differing = np.flatnonzero((others != others[0]).any(axis=1))
    if differing.size:
      raise errors.UserError(
        f'{name} is not the same in process 0 and in process {differing[0]}: '
        'every process has to see the same files and the same config'
      )


def count_hosts() -> int:
  """Machines that the processes of this run are on."""
  return len(np.unique(_gather(platform.node()), axis=0))


@contextlib.contextmanager
def listen(when: str) -> Iterator[Callable[[], bool]]:
  """Within, SIGINT and SIGTERM to any process ask all of them for a stop.

  Args:
    when: the stop is to be expected, for the person who asked.

  Yields:
    A function to be called by all after every step: whether to stop now.
  """
  if jax.process_count() == 1:
    with signals.listen(when) as asked:
      yield asked
  else:
    # The runtime has all stop at the number after the last that one of them has
    # called it with, 0 before the first: a number left out never comes.
    calls = itertools.count(1)
    yield lambda: multihost_utils.reached_preemption_sync_point(next(calls))


def _pass_on_interrupts():
  """SIGINT is taken for SIGTERM, which stops all; a second one insists.

  The runtime has taken SIGTERM over: a handler of Python's would take it away.
  """

  def ask(signum, frame):
    del signum, frame
    console.say('stopping all processes after their next steps ...')
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))
    os.kill(os.getpid(), signal.SIGTERM)

  signals.leave_to_others()
  signal.signal(signal.SIGINT, ask)


def _gather(text):
  """A digest of the text of each process, [processes, 32]."""
  digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
  if jax.process_count() == 1:
    return digest[None]
  return np.asarray(multihost_utils.process_allgather(digest))


def _try_port(port):
  """Where it is taken, the runtime would not raise but crash."""
  if port is None:
    return
  family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
  with socket.socket(family) as probe:
    # As servers do: a port that was closed a minute ago is free.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      probe.bind(('', port))
    except OSError as error:
      raise errors.UserError(
        f'port {port}, where the processes of a run are to meet, cannot be '
        f'opened: {error.strerror}; name another one in JAX_COORDINATOR_PORT '
        'or --config.distributed'
      ) from None


@contextlib.contextmanager
def _giving_up(seconds, line):
  """Ends the process if what is inside takes longer: it could only crash."""

  def end():
    told = f'{console.name_program()}: {line}'
    print(told, file=sys.stderr, flush=True)
    os._exit(1)

  timer = threading.Timer(seconds, end)
  timer.start()
  try:
    yield
  finally:
    timer.cancel()


@contextlib.contextmanager
def _naming_the_lost():
  try:
    yield
  except (ValueError, RuntimeError) as error:
    known = isinstance(error, errors.UserError)
    if known or not any(sign in str(error) for sign in _SIGNS):
      raise
    raise errors.PeerLost(_LOST) from None
