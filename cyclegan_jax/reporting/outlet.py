"""Where a log goes: metrics.jsonl, sample grids, TensorBoard; or nowhere.

What cannot be written, on a full disk or one that has gone, is told once and
does not end a run; lines wait in memory for room.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import json
import pathlib
import time
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import event_file_writer
from tensorboardX import summary
from tensorboardX.proto import event_pb2

from cyclegan_jax import console
from cyclegan_jax import files
from cyclegan_jax.reporting import rewind

_proto: Any = event_pb2  # its names are made when it is imported
_FLUSH_SECONDS = 30  # TensorBoard's file: it waits for the disk


class Files:
  """The files of a run, opened to go on after a step. To be closed."""

  def __init__(self, workdir: pathlib.Path, start: int):
    """Lines and grids of later steps, which a kill has undone, are dropped.

    Args:
      workdir: where the files are.
      start: steps done before.
    """
    self._workdir = workdir
    self._told = False
    self._flushed = 0.0
    self._waiting = b''  # lines, or the rest of one, for which there is no room
    self._lines = rewind.open_lines(workdir / 'metrics.jsonl', start)
    rewind.forget_samples(workdir, start)
    folder = workdir / 'tensorboard'
    folder.mkdir(exist_ok=True)
    # Not `SummaryWriter`: it writes in a thread, and where that has died of a
    # full disk it waits for it without end.
    self._events = event_file_writer.EventsWriter(str(folder / 'events'))
    began = _proto.SessionLog(status=_proto.SessionLog.START)
    with self._tolerating():
      self._add(start + 1, session_log=began)

  def write(self, line: Mapping):
    """A line of metrics.jsonl, and its numbers for TensorBoard.

    Args:
      line: 'step', 'kind' and what else there is.
    """
    self._waiting += json.dumps(line).encode() + b'\n'
    self._write_waiting()
    values = [
      summary.scalar(f'{line["kind"]}/{name}', value).value[0]
      for name, value in line.items()
      if name not in ('step', 'epoch', 'kind', 'final')
      and not isinstance(value, str)
    ]
    with self._tolerating():
      self._add(line['step'], summary=summary.Summary(value=values))

  def draw(self, step: int, picture: Image.Image):
    """A grid as `samples/step_<step>.png`, and for TensorBoard."""
    path = self._workdir / rewind.SAMPLE.format(f'{step:07d}')
    with self._tolerating():
      with files.replace_file(path) as partial:
        picture.save(partial, format='PNG')
      shown = summary.image('samples', np.asarray(picture), dataformats='HW')
      self._add(step, summary=shown)

  def close(self):
    self._write_waiting()
    for file in (self._lines, self._events):
      with self._tolerating():
        file.close()

  def _write_waiting(self):
    # Not in the buffer of a file: a full one drops what it is given.
    with self._tolerating():
      while self._waiting:
        self._waiting = self._waiting[self._lines.write(self._waiting) :]

  def _add(self, step, **content):
    now = time.time()
    self._events.write_event(_proto.Event(step=step, wall_time=now, **content))
    if now - self._flushed > _FLUSH_SECONDS:
      self._events.flush()
      self._flushed = now

  @contextlib.contextmanager
  def _tolerating(self) -> Iterator[None]:
    try:
      yield
    except OSError as error:
      if not self._told:
        console.say(
          f'warning: the log in {self._workdir} cannot be written: '
          f'{error.strerror or error}; training goes on'
        )
      self._told = True


class Nowhere:
  """Of a process that does not write."""

  def write(self, line: Mapping):
    del line

  def draw(self, step: int, picture: Image.Image):
    del step, picture

  def close(self):
    pass
