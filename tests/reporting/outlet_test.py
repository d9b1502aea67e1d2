"""Files of a log, on disks that fail."""

import errno
import json

from PIL import Image
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

from cyclegan_jax.reporting import outlet


def read_events(folder):
  """TensorBoard's records: length, its checksum, data, its checksum."""
  (path,) = folder.glob('tensorboard/events.out.tfevents.*')
  content, events = path.read_bytes(), []
  while content:
    size = int.from_bytes(content[:8], 'little')
    data = content[12 : 12 + size]
    stored = int.from_bytes(content[12 + size : 16 + size], 'little')
    assert masked_crc32c(data) == stored
    events.append(event_pb2.Event.FromString(data))
    content = content[16 + size :]
  return events


def test_lines_and_pictures_are_in_the_files_and_for_tensorboard(tmp_path):
  files = outlet.Files(tmp_path, 4)
  files.write({'step': 6, 'epoch': 1, 'kind': 'step', 'loss': 0.5})
  files.draw(6, Image.new('L', (8, 4)))
  files.close()
  (line,) = (tmp_path / 'metrics.jsonl').read_text().splitlines()
  assert json.loads(line)['loss'] == 0.5
  with Image.open(tmp_path / 'samples/step_0000006.png') as picture:
    assert picture.size == (8, 4)
  *_, began, scalars, picture = read_events(tmp_path)
  assert began.step == 5 and began.session_log.status == 1
  assert scalars.step == picture.step == 6
  (value,) = scalars.summary.value
  assert (value.tag, value.simple_value) == ('step/loss', 0.5)
  (value,) = picture.summary.value
  assert value.tag == 'samples' and value.image.width == 8


class FullDisk:
  """A file with room for some bytes, as unbuffered files behave."""

  def __init__(self, file, room):
    self.file, self.room = file, room

  def write(self, content):
    part = content[: self.room]
    if not part:
      raise OSError(errno.ENOSPC, 'No space left on device')
    self.room -= len(part)
    return self.file.write(part)

  def close(self):
    self.file.close()


def test_a_full_disk_is_told_once_and_ends_nothing(
  tmp_path, capsys, monkeypatch
):
  files = outlet.Files(tmp_path, 0)
  disk = FullDisk(files._lines, room=100)
  monkeypatch.setattr(files, '_lines', disk)
  steps = list(range(1, 1000))  # more than any buffer holds
  for step in steps[:-1]:
    files.write({'step': step, 'epoch': 1, 'kind': 'step'})
  said = capsys.readouterr().out
  assert said.count('cannot be written: No space left on device') == 1
  disk.room = 1 << 20
  files.write({'step': steps[-1], 'epoch': 1, 'kind': 'step'})
  files.close()
  lines = (tmp_path / 'metrics.jsonl').read_text().splitlines()
  assert [json.loads(line)['step'] for line in lines] == steps


def test_lines_that_wait_are_written_when_the_log_is_closed(
  tmp_path, monkeypatch
):
  files = outlet.Files(tmp_path, 0)
  disk = FullDisk(files._lines, room=0)
  monkeypatch.setattr(files, '_lines', disk)
  files.write({'step': 1, 'epoch': 1, 'kind': 'step'})
  disk.room = 1 << 20
  files.close()
  assert json.loads((tmp_path / 'metrics.jsonl').read_text())['step'] == 1
