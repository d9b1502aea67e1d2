"""A checkpoint: what goes in comes out, by name; what is broken is told."""

import sys
import types
import warnings

import chex
import jax
import numpy as np
import pytest

from cyclegan_jax import errors
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import kept


def make_trees(number=0):
  """As a state gives them: parameters, and others by another name."""
  kernel = np.arange(6, dtype=np.float32).reshape(2, 3) + number
  return {
    'gen_ab': {
      'params': {'kernel': kernel, 'bias': -kernel[0]},
      'step': np.int32(number),
    },
    'average_gen_ab': {'params': {'kernel': 10 * kernel, 'bias': kernel[1]}},
    # Of one array: where one read fails, Orbax drops others on their way, and
    # Python tells of that as late as it likes.
    'disc_a': {'params': {'kernel': np.full((2, 1), number, np.float32)}},
  }


def write(workdir, *steps, kind='newest'):
  for step in steps:
    checkpoint.write(
      workdir / kept.KINDS[kind] / str(step),
      make_trees(step),
      {'step': step, 'sums': {'x': 0.1}},
    )


def test_trees_come_back_by_name_to_the_bit(tmp_path):
  write(tmp_path, 4)
  path = kept.find(tmp_path)
  meta = checkpoint.read_meta(path)
  assert meta['step'] == 4 and meta['sums'] == {'x': 0.1}
  trees = checkpoint.read_trees(path, make_trees())
  chex.assert_trees_all_equal(trees, make_trees(4))
  chex.assert_trees_all_equal_dtypes(trees, make_trees(4))
  assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(trees))


def test_parameters_are_of_the_first_tree_there_is(tmp_path):
  write(tmp_path, 2)
  path = kept.find(tmp_path)
  like = jax.eval_shape(make_trees)['gen_ab']['params']
  for names, wanted in (
    (('average_gen_ab', 'gen_ab'), 'average_gen_ab'),
    (('average_gen_ba', 'gen_ab'), 'gen_ab'),
  ):
    params = checkpoint.read_params(path, names, like)
    chex.assert_trees_all_equal(params, make_trees(2)[wanted]['params'])
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(params))


def test_the_newest_is_found_by_number(tmp_path):
  write(tmp_path, 2, 9, 11)
  (tmp_path / 'checkpoints' / '12.orbax-checkpoint-tmp').mkdir()
  (tmp_path / 'checkpoints' / 'mine').mkdir()
  assert kept.find(tmp_path) == tmp_path / 'checkpoints' / '11'


def test_each_kind_has_its_own_folder(tmp_path):
  write(tmp_path, 3)
  with pytest.raises(errors.UserError, match='best.*evaluate_every_steps'):
    kept.find(tmp_path, 'best')
  write(tmp_path, 2, kind='best')
  assert kept.find(tmp_path, 'best') == tmp_path / 'best' / '2'
  with pytest.raises(errors.UserError, match='nowhere has no newest check'):
    kept.find(tmp_path / 'nowhere')


def cut_short(folder):
  """As a full disk or a broken copy leaves files."""
  for path in files_of(folder):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(folder):
  """A bit of the largest file: what holds the numbers."""
  path = max(files_of(folder), key=lambda path: path.stat().st_size)
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def remove(folder):
  for path in files_of(folder):
    path.unlink()


def files_of(folder):
  return [path for path in folder.rglob('*') if path.is_file()]


@pytest.mark.parametrize('damage', [cut_short, remove])
@pytest.mark.parametrize('item', ['meta', 'disc_a'])
def test_a_damaged_checkpoint_is_told_and_an_older_one_named(
  tmp_path, item, damage
):
  write(tmp_path, 4, 8)
  path = kept.find(tmp_path)
  damage(path / item)
  message = 'checkpoints/8 is damaged, .* the one of step 4 is used'
  with pytest.raises(errors.UserError, match=message):
    checkpoint.read_trees(path, make_trees())


@pytest.mark.parametrize('read', ['all', 'params'])
def test_numbers_that_have_changed_on_the_disk_are_noticed(tmp_path, read):
  """Orbax reads them without a word."""
  write(tmp_path, 4)
  path = kept.find(tmp_path)
  # Not compressed, and so found: the numbers of one tree.
  stored = [
    x for x in files_of(path / 'disc_a') if b'\0\0\x80@' in x.read_bytes()
  ]
  for each in stored or files_of(path / 'disc_a' / 'd'):
    content = bytearray(each.read_bytes())
    place = content.find(b'\0\0\x80@')
    content[place if place >= 0 else len(content) // 2] ^= 1
    each.write_bytes(content)
  with pytest.raises(errors.UserError, match='4 is damaged'):
    if read == 'all':
      checkpoint.read_trees(path, make_trees())
    else:
      checkpoint.read_params(path, ['disc_a'], make_trees()['disc_a']['params'])


def test_without_an_older_checkpoint_training_starts_anew(tmp_path):
  write(tmp_path, 4)
  path = kept.find(tmp_path)
  cut_short(path / 'disc_a')
  message = '4 is damaged.*no older one: train again'
  with pytest.raises(errors.UserError, match=message):
    checkpoint.read_trees(path, make_trees())


def test_trees_of_other_networks_are_told(tmp_path):
  write(tmp_path, 4)
  other = make_trees()
  other['disc_a']['params']['kernel'] = np.zeros((5, 3), np.float32)
  with pytest.raises(errors.UserError, match='or of other networks'):
    checkpoint.read_trees(kept.find(tmp_path), other)


def test_what_orbax_does_not_come_to_is_not_complained_of(monkeypatch):
  """Where a write fails; everything else that cannot be raised is told."""
  told = []
  monkeypatch.setattr(sys, 'unraisablehook', told.append)
  late, other = (
    types.SimpleNamespace(exc_value=RuntimeError(words))
    for words in ('Event loop is closed', 'lost')
  )
  with checkpoint.failing_quietly():
    sys.unraisablehook(late)
    sys.unraisablehook(other)
    warnings.warn("coroutine 'save' was never awaited", stacklevel=1)
  sys.unraisablehook(late)
  assert told == [other, late]
