"""The table of a run's checkpoints: what is there, how good, and whole."""

import json
import re
import shutil

import numpy as np
import pytest

from cyclegan_jax import listing
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import inspection
from cyclegan_jax.runtime import kept
from cyclegan_jax.runtime import packed


def write(workdir, step, kind='newest'):
  params = {'kernel': np.full((8, 8), step, np.float32), 'bias': np.ones(2)}
  checkpoint.write(
    workdir / kept.KINDS[kind] / str(step),
    {'gen_ab': {'params': params, 'step': np.int32(step)}},
    {'step': step, 'config': {'domains': ['PD', 'FLAIR']}},
  )


def log(workdir, *lines):
  text = ''.join(json.dumps(line) + '\n' for line in lines)
  (workdir / 'metrics.jsonl').write_text(text + '{"step": 9, "ki')


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('listed')
  for step in (4, 12, 20):
    write(workdir, step)
  write(workdir, 12, kind='best')
  scores = dict(psnr_ab=20.54, ssim_ab=0.789, psnr_ba=18.4, ssim_ba=0.8)
  log(
    workdir,
    {'step': 2, 'epoch': 1, 'kind': 'step'},
    {'step': 10, 'epoch': 3, 'kind': 'evaluation', 'distance': 0.08} | scores,
    {'step': 12, 'epoch': 4, 'kind': 'step'},
    {'step': 14, 'epoch': 5, 'kind': 'evaluation', 'distance': 0.1},
  )
  return workdir


def read_table(workdir, capsys):
  capsys.readouterr()
  listing.list_checkpoints(str(workdir))
  head, *rows, last = capsys.readouterr().out.splitlines()
  return [re.split('  +', line) for line in (head, *rows)], last


def test_a_row_tells_what_is_known_of_a_checkpoint(workdir, capsys):
  (head, *rows), last = read_table(workdir, capsys)
  assert head == [
    *('step', 'epoch', 'kind', 'saved', 'size', 'PD to FLAIR', 'FLAIR to PD'),
    *('distance', 'scored at'),
  ]
  known = [row[:3] + row[5:] for row in rows]
  scored = ['20.5 / 0.79', '18.4 / 0.80', '0.080', '10']
  assert known == [
    ['4', '1', 'newest', '-', '-', '-', '-'],
    ['12', '4', 'best', *scored],
    ['12', '4', 'newest', *scored],
    ['20', '5', 'newest', '-', '-', '0.100', '14'],
  ]
  for row in rows:
    assert re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d', row[3])
    assert re.fullmatch(r'[\d.]+ kB', row[4])
  assert last == '--checkpoint=newest, the default, is step 20'


def test_numbers_that_have_changed_are_marked(workdir, tmp_path, capsys):
  """Of the newest: it is what would be taken."""
  run = tmp_path / 'run'
  for step in (4, 12):
    write(run, step)
  (run / 'metrics.jsonl').write_text('')
  data = [
    path
    for path in (run / 'checkpoints/12/gen_ab').rglob('d/*')
    if path.is_file()
  ]
  largest = max(data, key=lambda path: path.stat().st_size)
  content = bytearray(largest.read_bytes())
  content[len(content) // 2] ^= 1
  largest.write_bytes(content)
  (_, *rows), last = read_table(run, capsys)
  assert [row[2] for row in rows] == ['newest', 'newest, damaged']
  assert 'is step 12, which is damaged' in last


@pytest.mark.parametrize('lost', ['gen_ab', 'meta'])
def test_files_that_are_lost_are_marked(tmp_path, capsys, lost):
  write(tmp_path, 4)
  for path in (tmp_path / 'checkpoints/4' / lost).rglob('*'):
    if path.is_file():
      path.write_bytes(path.read_bytes()[:5])
  (head, row), _ = read_table(tmp_path, capsys)
  assert row[2] == 'newest, damaged' and row[1] == '-'
  assert head[5] == ('PD to FLAIR' if lost == 'gen_ab' else 'a to b')


def test_what_a_run_deletes_meanwhile_is_left_out(
  tmp_path, capsys, monkeypatch
):
  for step in (4, 8):
    write(tmp_path, step)
  look = inspection.look

  def look_late(path):
    if path.name == '4':
      shutil.rmtree(path)
    return look(path)

  monkeypatch.setattr(inspection, 'look', look_late)
  (_, row), _ = read_table(tmp_path, capsys)
  assert row[0] == '8'


def test_a_file_is_one_line(tmp_path, capsys):
  path = tmp_path / 'model.zip'
  arrays = {'kernel': np.ones((100, 100), np.float32)}
  meta = {'step': 7, 'run': 'mine', 'config': {'domains': ['PD', 'FLAIR']}}
  packed.write(path, [('gen_ab', arrays)], meta, notice='')
  listing.list_checkpoints(str(path))
  (line,) = capsys.readouterr().out.splitlines()
  assert line.startswith(f'{path}: PD to FLAIR and back, packed from step 7 of')
  assert 'run mine, 40.' in line and 'kB' in line


def test_meta_of_something_else_is_damage(tmp_path, capsys):
  write(tmp_path, 4)
  (tmp_path / 'metrics.jsonl').write_text('')
  path = tmp_path / 'checkpoints' / '4' / 'meta' / 'metadata'
  path.write_text('{"x": 1}')
  (_, row), last = read_table(tmp_path, capsys)
  assert row[2] == 'newest, damaged' and 'which is damaged' in last
