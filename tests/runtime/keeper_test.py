"""Checkpoints of a run: what fails is told, and the one before counts."""

import contextlib
import errno
import re

import chex
import numpy as np
import pytest

from cyclegan_jax import errors
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import keeper
from cyclegan_jax.runtime import kept as kept_lib


def make_trees(number=0):
  """A tree of one array: see checkpoint_test."""
  return {'gen_ab': {'kernel': np.full((2, 3), number, np.float32)}}


@contextlib.contextmanager
def opened(workdir, kind='newest', keep=3):
  with contextlib.closing(keeper.Keeper(workdir, kind, keep=keep)) as found:
    yield found


def save(workdir, *steps, **options):
  with opened(workdir, **options) as kept:
    for step in steps:
      kept.save(step, make_trees(step), {'step': step})
  return kept


def list_steps(workdir, kind='newest'):
  folder = workdir / kept_lib.KINDS[kind]
  return sorted(path.name for path in folder.iterdir())


def damage(workdir, step):
  for path in (workdir / 'checkpoints' / str(step)).rglob('*'):
    if path.is_file():
      path.write_bytes(path.read_bytes()[:5])


def test_the_newest_are_kept_and_come_back(tmp_path):
  assert save(tmp_path, 2, 9, 10, 11).trouble == ''
  assert list_steps(tmp_path) == ['10', '11', '9']
  with opened(tmp_path) as kept:
    meta, trees = kept.resume(make_trees())
  assert meta['step'] == 11
  chex.assert_trees_all_equal(trees, make_trees(11))


def test_two_kinds_are_written_at_once(tmp_path):
  with opened(tmp_path) as newest, opened(tmp_path, 'best', 1) as best:
    for step in range(1, 9):
      newest.save(step, make_trees(step), {})
      best.save(step, make_trees(step), {'distance': step})
  assert newest.trouble == best.trouble == ''
  assert list_steps(tmp_path, 'best') == ['8']
  with opened(tmp_path, 'best') as best:
    assert best.read_meta()['distance'] == 8


def test_what_is_saved_may_change_at_once(tmp_path):
  trees = make_trees(1)
  with opened(tmp_path) as kept:
    kept.save(1, trees, {})
    trees['gen_ab']['kernel'][:] = 7
    kept.settle()
    chex.assert_trees_all_equal(kept.resume(trees)[1], make_trees(1))


def test_a_new_run_has_none(tmp_path):
  with opened(tmp_path) as kept:
    assert kept.resume(make_trees()) is None and kept.read_meta() is None


def test_what_training_comes_by_again_is_forgotten(tmp_path):
  save(tmp_path, 2, 4, 6)
  with opened(tmp_path) as kept:
    kept.forget_after(6)
    kept.forget_after(3)
  assert list_steps(tmp_path) == ['2']


def test_what_a_kill_has_left_half_written_goes(tmp_path):
  save(tmp_path, 2)
  half = tmp_path / 'checkpoints' / '4.orbax-checkpoint-tmp' / 'gen_ab'
  half.mkdir(parents=True)
  with opened(tmp_path):
    assert list_steps(tmp_path) == ['2']


def test_a_damaged_one_is_left_and_the_one_before_taken(tmp_path, capsys):
  """Until training comes by that step again: then it makes way."""
  save(tmp_path, 2, 4, 6, 8)
  damage(tmp_path, 6)
  (tmp_path / 'checkpoints' / '8' / 'meta' / 'metadata').write_text('{"st')
  (tmp_path / 'checkpoints' / '9999').mkdir()
  before = (tmp_path / 'checkpoints' / '6' / '_CHECKPOINT_METADATA').stat()
  with opened(tmp_path) as kept:
    meta, trees = kept.resume(make_trees())
    said = capsys.readouterr().out
    assert meta['step'] == 4
    chex.assert_trees_all_equal(trees, make_trees(4))
    assert re.search(
      'checkpoints of these steps cannot be read: 6, 8, 9999; they are left '
      'where they are, and the run goes on from step 4',
      said,
    )
    kept.save(5, make_trees(5), {'step': 5})
    kept.settle()
    assert list_steps(tmp_path) == ['4', '5', '6', '8', '9999']
    for step in (6, 7):
      kept.save(step, make_trees(step), {'step': step})
  assert list_steps(tmp_path) == ['5', '6', '6.damaged', '7', '8', '9999']
  aside = tmp_path / 'checkpoints' / '6.damaged' / '_CHECKPOINT_METADATA'
  assert aside.stat().st_mtime_ns == before.st_mtime_ns
  with opened(tmp_path) as kept:
    assert kept.resume(make_trees())[0]['step'] == 7


def test_a_step_that_is_damaged_again_and_again_is_saved_anew(tmp_path):
  for content in (4, 5, 6):
    save(tmp_path, 2)
    with opened(tmp_path) as kept:
      kept.resume(make_trees())
      kept.save(4, make_trees(content), {'step': content})
      kept.settle()
      assert kept.trouble == ''
      assert checkpoint.read_meta(kept_lib.find(tmp_path))['step'] == content
    damage(tmp_path, 4)
  names = ['2', '2.damaged', '2.damaged-2', '4', '4.damaged', '4.damaged-2']
  assert list_steps(tmp_path) == names


def test_where_none_can_be_read_nothing_is_started_anew(tmp_path):
  save(tmp_path, 2, 4)
  damage(tmp_path, 2)
  damage(tmp_path, 4)
  with (
    opened(tmp_path) as kept,
    pytest.raises(errors.UserError, match='none of the checkpoints in .* can'),
  ):
    kept.resume(make_trees())
  assert list_steps(tmp_path) == ['2', '4']


def test_a_full_disk_is_told_and_tried_again(tmp_path, capsys, monkeypatch):
  write = checkpoint.write

  def fill(path, trees, meta):
    half = path.with_name(f'{path.name}{kept_lib.PARTIAL}')
    half.mkdir()
    raise OSError(errno.ENOSPC, 'No space left on device')

  with opened(tmp_path) as kept:
    kept.save(2, make_trees(2), {'step': 2})
    kept.settle()
    monkeypatch.setattr(checkpoint, 'write', fill)
    kept.save(4, make_trees(4), {'step': 4})
    kept.settle()
    assert 'step 4 could not be saved' in kept.trouble
    said = capsys.readouterr().out
    assert 'No space left on device; those before it are' in said
    assert list_steps(tmp_path) == ['2']
    monkeypatch.setattr(checkpoint, 'write', write)
    kept.save(6, make_trees(6), {'step': 6})
  assert kept.trouble == ''
  assert list_steps(tmp_path) == ['2', '6']


def test_a_library_that_tells_a_page_is_cut_to_a_line(tmp_path, monkeypatch):
  def fail(*_):
    raise ValueError('RESOURCE_EXHAUSTED: No space left on device [x]\nmore')

  monkeypatch.setattr(checkpoint, 'write', fail)
  assert save(tmp_path, 3).trouble.endswith(
    'checkpoints: No space left on device'
  )


def test_nothing_is_written_where_another_has_taken_over(tmp_path):
  kept = keeper.Keeper(tmp_path, 'newest', keep=2, may_write=lambda: False)
  with (
    contextlib.closing(kept),
    pytest.raises(errors.PeerLost, match='taken over by another process'),
  ):
    kept.save(3, make_trees(3), {})
  assert list_steps(tmp_path) == []


def test_what_may_be_read_another_time_is_not_damaged(tmp_path, monkeypatch):
  """A disk that is away for a while is no reason to go on from before."""
  save(tmp_path, 2, 4)

  def fail(*_):
    raise OSError(errno.ESTALE, 'Stale file handle')

  monkeypatch.setattr(checkpoint.ocp.Checkpointer, 'restore', fail)
  with opened(tmp_path) as kept, pytest.raises(OSError, match='Stale file'):
    kept.resume(make_trees())
