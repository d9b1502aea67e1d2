"""What is made once is kept until it changes."""

import os

import numpy as np
import pytest

from cyclegan_jax import errors
from cyclegan_jax.data import cache


@pytest.fixture
def fetch(tmp_path):
  """Fetches entries of a cache; `fetch.made` lists the keys it had to make."""

  def fetch_(key, values=(1, 2, 3)):
    def make(path):
      fetch_.made.append(key)
      np.asarray(values, np.float32).tofile(path)
      return {'count': len(values), 'shape': (len(values),)}

    return cache.fetch(tmp_path / 'cache', key, make)

  fetch_.made = []
  return fetch_


def test_an_entry_is_made_once(fetch):
  first, second = fetch('x'), fetch('x')
  assert first == second and fetch.made == ['x']
  path, facts = first
  np.testing.assert_array_equal(np.fromfile(path, np.float32), [1, 2, 3])
  assert facts == {'count': 3, 'shape': [3]}  # as JSON has it, from the start
  fetch('y')
  assert fetch.made == ['x', 'y']


@pytest.mark.parametrize('harm', ['no data', 'no facts', 'half the facts'])
def test_half_an_entry_is_made_anew(fetch, harm):
  path, facts = fetch('x')
  stored = path.with_suffix('.json')
  if harm == 'no data':
    path.unlink()
  elif harm == 'no facts':
    stored.unlink()
  else:
    stored.write_text(stored.read_text()[:-5])
  assert fetch('x') == (path, facts) and fetch.made == ['x', 'x']
  assert fetch('x') == (path, facts) and fetch.made == ['x', 'x']


def test_what_cannot_be_made_leaves_nothing(tmp_path):
  def fail(path):
    path.write_text('half')
    raise errors.UserError('x.nii is broken')

  with pytest.raises(errors.UserError, match='broken'):
    cache.fetch(tmp_path / 'cache', 'x', fail)
  assert not list((tmp_path / 'cache').iterdir())


def test_a_name_is_the_same_in_every_run():
  """Of `printf "('a', 1)" | sha256sum`."""
  assert cache.hash_text('a', 1) == '391d545b6971354e834fd411e6fbe505'
  assert cache.hash_text('a', 1) != cache.hash_text('a1')


@pytest.fixture
def paths(tmp_path):
  (tmp_path / 'in').mkdir()
  paths = [tmp_path / 'in' / name for name in ('a.png', 'b.png')]
  for path in paths:
    path.write_bytes(path.name.encode())
  return paths


def test_a_hash_follows_the_contents_in_their_order(paths, tmp_path):
  def hash_now(*chosen):
    return cache.hash_files(tmp_path / 'cache', chosen)

  before = hash_now(*paths)
  assert hash_now(*paths[::-1]) != before != hash_now(paths[0])
  os.utime(paths[0], ns=(0, 0))  # touched, not changed
  assert hash_now(*paths) == before
  moved = [path.rename(path.with_stem(f'x{path.stem}')) for path in paths]
  assert hash_now(*moved) == before
  moved[1].write_bytes(b'c.png')
  assert hash_now(*moved) != before


def test_a_hash_is_remembered_until_size_or_times_change(
  paths, tmp_path, monkeypatch
):
  folder = tmp_path / 'cache'
  before = cache.hash_files(folder, paths)
  with monkeypatch.context() as patch:
    patch.setattr(cache.hashlib, 'file_digest', None)  # nothing is read
    assert cache.hash_files(folder, paths) == before
  paths[0].write_bytes(b'other')
  assert cache.hash_files(folder, paths) != before


def test_a_file_that_cannot_be_read_is_named(paths, tmp_path):
  paths[1].unlink()
  with pytest.raises(errors.UserError, match='b.png cannot be read: No such'):
    cache.hash_files(tmp_path / 'cache', paths)
  paths[1].mkdir()
  with pytest.raises(errors.UserError, match='b.png cannot be read: Is a dir'):
    cache.hash_files(tmp_path / 'cache', paths)
