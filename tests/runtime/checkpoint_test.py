"""Checkpoints: what goes in comes out, by name; what is broken is told."""

import contextlib

import chex
import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax import errors
from cyclegan_jax.runtime import checkpoint


def make_trees(number=0):
  """As a state gives them: parameters, and others by another name."""
  kernel = jnp.arange(6.0).reshape(2, 3) + number
  return {
    'gen_ab': {
      'params': {'kernel': kernel, 'bias': -kernel[0]},
      'step': number,
    },
    'average_gen_ab': {'params': {'kernel': 10 * kernel, 'bias': kernel[1]}},
    # Of one array: where one read fails, Orbax drops others on their way, and
    # Python tells of that as late as it likes.
    'disc_a': {'params': {'kernel': jnp.full((2, 1), number)}},
  }


@pytest.fixture
def batches():
  """An iterator that gives 0, 1, 2 ..."""
  return iter(grain.MapDataset.range(100).to_iter_dataset())


@contextlib.contextmanager
def opened(workdir, kind='newest', keep=3):
  with contextlib.closing(
    checkpoint.open_checkpoints(workdir, kind, keep=keep)
  ) as manager:
    yield manager


def save(workdir, *steps, kind='newest', keep=3):
  with opened(workdir, kind, keep) as manager:
    for step in steps:
      meta = {'step': step, 'people': ['anna']}
      checkpoint.save(manager, step, make_trees(step), None, meta)


def list_steps(workdir, kind='newest'):
  folder = workdir / checkpoint.KINDS[kind]
  return sorted(int(path.name) for path in folder.iterdir())


def test_trees_come_back_by_name_to_the_bit(tmp_path, batches):
  for _ in range(3):
    next(batches)
  with opened(tmp_path) as manager:
    checkpoint.save(manager, 4, make_trees(4), batches, {'sums': {'x': 0.1}})
  rest = list(batches)[:5]
  fresh = iter(grain.MapDataset.range(100).to_iter_dataset())
  with opened(tmp_path) as manager:
    assert checkpoint.restore_meta(manager) == {'sums': {'x': 0.1}}
    trees = checkpoint.restore(manager, make_trees(), fresh)
  chex.assert_trees_all_equal(trees, make_trees(4))
  assert list(fresh)[:5] == rest == [3, 4, 5, 6, 7]


def test_trees_come_back_to_the_devices_of_those_they_are_like(tmp_path):
  save(tmp_path, 1)
  mesh = jax.make_mesh((4,), ('data',))
  everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  like = jax.device_put(make_trees(), everywhere)
  with opened(tmp_path) as manager:
    trees = checkpoint.restore(manager, like, None)
  for leaf in jax.tree.leaves(trees):
    assert leaf.sharding.device_set == set(jax.devices())


def test_parameters_are_of_the_first_tree_there_is(tmp_path):
  save(tmp_path, 2)
  path = checkpoint.find(tmp_path)
  like = jax.eval_shape(make_trees)['gen_ab']['params']
  for names, wanted in (
    (('average_gen_ab', 'gen_ab'), 'average_gen_ab'),
    (('average_gen_ba', 'gen_ab'), 'gen_ab'),
  ):
    params = checkpoint.restore_params(path, names, like)
    chex.assert_trees_all_equal(params, make_trees(2)[wanted]['params'])
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(params))


def test_the_newest_are_kept_and_found_by_number(tmp_path):
  save(tmp_path, 2, 9, 10, 11)
  assert list_steps(tmp_path) == [9, 10, 11]
  (tmp_path / 'checkpoints' / '12.orbax-checkpoint-tmp').mkdir()
  (tmp_path / 'checkpoints' / 'mine').mkdir()
  assert checkpoint.find(tmp_path) == tmp_path / 'checkpoints' / '11'
  assert checkpoint.read_meta(checkpoint.find(tmp_path))['step'] == 11


def test_each_kind_has_its_own_folder(tmp_path):
  save(tmp_path, 3)
  with pytest.raises(errors.UserError, match='best.*evaluate_every_steps'):
    checkpoint.find(tmp_path, 'best')
  save(tmp_path, 1, 2, kind='best', keep=1)
  assert checkpoint.find(tmp_path, 'best') == tmp_path / 'best' / '2'
  assert list_steps(tmp_path, 'best') == [2] and list_steps(tmp_path) == [3]
  with pytest.raises(errors.UserError, match='nowhere has no newest check'):
    checkpoint.find(tmp_path / 'nowhere')


def test_what_training_comes_by_again_is_forgotten(tmp_path):
  save(tmp_path, 2, 4, 6)
  with opened(tmp_path) as manager:
    checkpoint.forget_after(manager, 6)
    assert manager.latest_step() == 6
    checkpoint.forget_after(manager, 3)
    assert manager.latest_step() == 2
  assert list_steps(tmp_path) == [2]


def cut_short(folder):
  """As a full disk or a broken copy leaves files."""
  for path in folder.rglob('*'):
    if path.is_file():
      content = path.read_bytes()
      path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize('item', ['meta', 'disc_a'])
def test_a_damaged_checkpoint_is_told_and_an_older_one_named(tmp_path, item):
  save(tmp_path, 4, 8)
  path = checkpoint.find(tmp_path)
  cut_short(path / item)
  like = make_trees()
  message = 'checkpoints/8 is damaged, .* the one of step 4 is used'
  with (
    opened(tmp_path) as manager,
    pytest.raises(errors.UserError, match=message),
  ):  # as training does
    checkpoint.restore_meta(manager)
    checkpoint.restore(manager, like, None)
  with pytest.raises(errors.UserError, match=message):  # as translation does
    checkpoint.read_meta(path)
    checkpoint.restore_params(path, ('disc_a',), like['disc_a']['params'])


def test_without_an_older_checkpoint_training_starts_anew(tmp_path):
  save(tmp_path, 4)
  cut_short(tmp_path / 'checkpoints' / '4' / 'disc_a')
  message = '4 is damaged.*no older one: train again'
  with (
    opened(tmp_path) as manager,
    pytest.raises(errors.UserError, match=message),
  ):
    checkpoint.restore(manager, make_trees(), None)


def test_trees_of_other_networks_are_told(tmp_path):
  save(tmp_path, 4)
  other = make_trees()
  other['disc_a']['params']['kernel'] = jnp.zeros((5, 3))
  with (
    opened(tmp_path) as manager,
    pytest.raises(errors.UserError, match='or of other networks'),
  ):
    checkpoint.restore(manager, other, None)
