"""The checkpoints of a run: written while it goes on, and what can go wrong.

A disk that is full does not end a run, nor does a checkpoint that cannot be
read: both are told, and the one before counts.
"""

from collections.abc import Callable
from collections.abc import Mapping
from concurrent import futures
import contextlib
import gc
import pathlib
import shutil
from typing import Any

import jax
import numpy as np

from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import kept


class Keeper:
  """Keeps the newest checkpoints of one kind in a folder.

  To be closed. One process has it at a time.
  """

  def __init__(
    self,
    workdir: pathlib.Path,
    kind: str,
    *,
    keep: int,
    may_write: Callable[[], bool] = lambda: True,
  ):
    """Opens the folder, and clears away what a kill has left half-done.

    Args:
      workdir: of the run.
      kind: one of `kept.KINDS`.
      keep: how many to keep.
      may_write: whether the folder is still this process's.
    """
    self._folder = (workdir / kept.KINDS[kind]).absolute()
    self._folder.mkdir(parents=True, exist_ok=True)
    self._keep = keep
    self._may_write = may_write
    self._damaged = set()  # names; left where they are
    self._writer = futures.ThreadPoolExecutor(1)
    self._writing = None  # (step, what will tell how it went)
    self._failed = False
    self._quiet = contextlib.ExitStack()
    self._quiet.enter_context(checkpoint.failing_quietly())
    self.trouble = ''  # why the last checkpoint could not be saved
    self._clear_partial()

  def save(self, step: int, trees: Mapping[str, Any], meta: dict):
    """Begins to save under the number of a step, and says what went wrong.

    Args:
      step: done.
      trees: of arrays, by name, none empty; they may be donated once this
        returns.
      meta: anything JSON can hold, not to be changed any more.

    Raises:
      PeerLost: if another process has taken over.
    """
    self.settle()
    if not self._may_write():
      raise errors.PeerLost(
        f'{self._folder} was taken over by another process while this one did '
        'not answer for a minute; it writes nothing more there'
      )
    try:
      # A copy: the devices go on with theirs, and on a CPU it is the same.
      host = jax.tree.map(np.array, dict(trees))
    except MemoryError as error:
      self._fail(step, error)
      return
    job = self._writer.submit(self._write, step, host, meta)
    self._writing = (step, job)

  def settle(self):
    """Waits for what is being written, and says if it came to nothing."""
    if self._writing:
      step, job = self._writing
      self._writing = None
      error = job.exception()
      if error:
        self._fail(step, error)
      else:
        self.trouble = ''

  def resume(self, like: Mapping[str, Any]) -> tuple[dict, dict] | None:
    """The newest checkpoint that can be read; None if there never was one.

    Args:
      like: trees by name; they give shapes and types.

    Returns:
      Its meta, and its trees on the host.

    Raises:
      UserError: if none can be read.
    """
    trouble = None
    newest_first = files.list_numbered(self._folder)[::-1]
    for path in newest_first:
      try:
        found = checkpoint.read(path, like)
      except errors.UserError as error:
        trouble = error
        self._damaged.add(path.name)
        continue
      if self._damaged:
        console.say(
          f'warning: in {self._folder} the checkpoints of these steps cannot '
          f'be read: {", ".join(sorted(self._damaged, key=int))}; they are '
          f'left where they are, and the run goes on from step {path.name}'
        )
      return found
    if newest_first:
      raise errors.UserError(
        f'none of the checkpoints in {self._folder} can be read: bring one '
        'back from a copy, or move them away to start anew'
      ) from trouble
    return None

  def read_meta(self) -> dict | None:
    """Of the newest checkpoint; None if there is none that can be read."""
    steps = files.list_numbered(self._folder)
    if not steps:
      return None
    try:
      return checkpoint.read_meta(steps[-1])
    except errors.UserError:
      console.say(
        f'warning: checkpoint {steps[-1]} cannot be read and counts no more'
      )
      self._damaged.add(steps[-1].name)
      return None

  def forget_after(self, step: int):
    """Deletes the checkpoints after `step`, which training comes by again."""
    for path in files.list_numbered(self._folder):
      if int(path.name) > step:
        _delete(path)

  def close(self):
    """Waits for what is being written."""
    self.settle()
    self._writer.shutdown()
    if self._failed:
      gc.collect()  # what failed is complained of when it is collected
    self._quiet.close()

  def _clear_partial(self):
    for path in self._folder.glob(f'*{kept.PARTIAL}*'):
      shutil.rmtree(path, ignore_errors=True)

  def _write(self, step, host, meta):
    path = self._folder / str(step)
    if path.exists():  # damaged, or training would not come by again
      path.rename(_free_name(path))
      self._damaged.discard(path.name)
    checkpoint.write(path, host, meta)
    whole = [
      path
      for path in files.list_numbered(self._folder)
      if path.name not in self._damaged
    ]
    for path in whole[: -self._keep]:
      _delete(path)

  def _fail(self, step, error):
    self._failed = True
    self._clear_partial()  # room for the next attempt
    self.trouble = (
      f'the checkpoint of step {step} could not be saved in {self._folder}: '
      f'{_explain(error)}'
    )
    console.say(f'warning: {self.trouble}; those before it are as they were')


def _free_name(path):
  """Where a damaged checkpoint goes; others of its step may be there."""
  names = ('.damaged', *(f'.damaged-{count}' for count in range(2, 1000)))
  paths = (path.with_name(f'{path.name}{name}') for name in names)
  return next(each for each in paths if not each.exists())


def _delete(path):
  """A folder that is half gone is not to be taken for a checkpoint."""
  gone = path.with_name(f'{path.name}{kept.PARTIAL}')
  with contextlib.suppress(OSError):
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _explain(error):
  """The cause in a few words: libraries tell a page."""
  if isinstance(error, OSError) and error.strerror:
    return error.strerror
  text = str(error)
  for words in ('No space left on device', 'Disk quota exceeded'):
    if words in text:
      return words
  return (text.splitlines() or [type(error).__name__])[0][:200]
