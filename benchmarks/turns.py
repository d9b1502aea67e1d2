"""Measures two versions of the same work fairly: in turns, apart.

Every side lives in a process of its own, so that its peak memory is its own,
and they take turns, so that whatever else the machine does hits all alike. What
is reported is medians, and ratios of medians.
"""

from collections.abc import Callable
import dataclasses
import importlib.metadata
import multiprocessing
import os
import platform
import resource
import statistics
import time

# A side makes itself ready in its process and returns what is timed; a turn
# returns the figures by which two sides are seen to do the same work.
Turn = Callable[[], dict[str, float]]
Side = Callable[[], Turn]


@dataclasses.dataclass
class Result:
  """What one side did.

  Attributes:
    ready_s: seconds to make itself ready, compiling included.
    turns_s: seconds of every timed turn.
    outcomes: what every turn returned, the untimed first one included.
    peak_mb: peak resident memory of its process, MiB.
  """

  ready_s: float
  turns_s: list[float]
  outcomes: list[dict[str, float]]
  peak_mb: float = 0.0

  @property
  def median_s(self) -> float:
    return statistics.median(self.turns_s)


def take_turns(sides: dict[str, Side], *, turns: int) -> dict[str, Result]:
  """Lets all sides take turns; the first of each warms up and is not timed.

  Args:
    sides: picklable functions by name.
    turns: timed turns of each.
  """
  context = multiprocessing.get_context('spawn')
  pipes, processes, results = {}, [], {}
  for name, side in sides.items():
    pipes[name], remote = context.Pipe()
    process = context.Process(target=_serve, args=(side, remote), daemon=True)
    process.start()
    remote.close()
    processes.append(process)
    # One compiles at a time.
    results[name] = Result(pipes[name].recv(), turns_s=[], outcomes=[])
  for turn in range(turns + 1):
    for name, result in results.items():
      pipes[name].send(True)
      seconds, outcome = pipes[name].recv()
      result.outcomes.append(outcome)
      if turn:
        result.turns_s.append(seconds)
  for name, result in results.items():
    pipes[name].send(False)
    result.peak_mb = pipes[name].recv()
  for process in processes:
    process.join()
  return results


def threads() -> int:
  """Processors this process may use."""
  return len(os.sched_getaffinity(0))


def describe_machine(*packages: str) -> str:
  """The machine, its threads, and the versions of Python and of `packages`."""
  model = platform.processor() or platform.machine()
  try:
    with open('/proc/cpuinfo') as lines:
      model = next(
        line.split(':')[1].strip() for line in lines if 'model name' in line
      )
  except (OSError, StopIteration):
    pass
  versions = ', '.join(
    f'{name} {importlib.metadata.version(name)}' for name in packages
  )
  return (
    f'{model} ({platform.machine()}), {threads()} threads; '
    f'Python {platform.python_version()}, {versions}'
  )


def _serve(side, pipe):
  start = time.perf_counter()
  turn = side()
  pipe.send(time.perf_counter() - start)
  while pipe.recv():
    start = time.perf_counter()
    outcome = turn()
    pipe.send((time.perf_counter() - start, outcome))
  pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
