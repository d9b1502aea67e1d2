"""Where things are kept that can be made again."""

import os
import pathlib
import subprocess
import sys

import jax
import pytest

from configs import smoke
from cyclegan_jax import errors
from cyclegan_jax import inputs
from cyclegan_jax.runtime import cache_folders


@pytest.mark.parametrize('value', ['', None])
def test_without_a_cache_folder_named_it_is_the_users(
  tmp_path, monkeypatch, value
):
  """An empty XDG_CACHE_HOME is an unset one; nothing lands where one stands."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', str(tmp_path / 'home'))
  monkeypatch.setenv('XDG_CACHE_HOME', value or '')
  if value is None:
    monkeypatch.delenv('XDG_CACHE_HOME')
  config = smoke.get_config()
  config.phantom.people = config.phantom.test_people = 1
  config.phantom.slices = 1
  folder, _ = inputs.test_sources(config)
  assert 'cyclegan_jax' in pathlib.Path(folder).parts
  assert tmp_path / 'home' in pathlib.Path(folder).parents
  assert [path.name for path in tmp_path.iterdir()] == ['home']


def test_a_folder_that_is_named_is_made(tmp_path):
  chosen = tmp_path / 'a' / 'b'
  folder = cache_folders.make('data.cache', str(chosen), 'not', 'there')
  assert folder == chosen and chosen.is_dir()


def test_a_folder_that_cannot_be_made_is_named_with_its_field(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(errors.UserError, match='data.cache: .*file/x cannot be'):
    cache_folders.make('data.cache', str(tmp_path / 'file' / 'x'))


def test_what_is_usable_here(tmp_path):
  (tmp_path / 'file').touch()
  for chosen in ('', 'off', str(tmp_path), str(tmp_path / 'new' / 'er')):
    assert cache_folders.is_usable(chosen)
  for chosen in ('/proc/scratch', str(tmp_path / 'file' / 'x')):
    assert not cache_folders.is_usable(chosen)
  assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.fixture
def settings(monkeypatch):
  """What JAX is told from now on."""
  told = {}
  monkeypatch.setattr(jax.config, 'update', told.__setitem__)
  return told


def test_jaxs_own_variable_says_where_programs_are_kept(
  settings, tmp_path, monkeypatch
):
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(tmp_path / 'theirs'))
  cache_folders.keep_compiled(str(tmp_path / 'ours'))
  assert not settings and not (tmp_path / 'ours').exists()
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')
  cache_folders.keep_compiled(str(tmp_path / 'ours'))
  assert settings['jax_compilation_cache_dir'] == str(tmp_path / 'ours')
  assert (tmp_path / 'ours').is_dir()


def test_off_keeps_no_programs_whoever_says_where(settings):
  cache_folders.keep_compiled('off')
  assert settings == {'jax_enable_compilation_cache': False}


def test_what_is_traced_lies_with_what_is_compiled(tmp_path, monkeypatch):
  def find(folder, enabled=True):
    settings = {
      'jax_compilation_cache_dir': folder,
      'jax_enable_compilation_cache': enabled,
    }
    monkeypatch.setattr(type(jax.config), 'values', settings)
    return cache_folders.beside_compiled('traced')

  assert find(str(tmp_path)) == tmp_path / 'traced'
  assert find(str(tmp_path), enabled=False) is None
  assert find(None) is None
  assert find('gs://bucket/compiled') is None


def test_a_folder_counts_also_where_programs_were_compiled_before(tmp_path):
  """In a process of its own, since JAX remembers where it began."""
  code = (
    'import pathlib, sys, jax\n'
    'from cyclegan_jax.runtime import cache_folders\n'
    'for number, place in enumerate(sys.argv[1:], 2):\n'
    '  cache_folders.keep_compiled(place)\n'
    "  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)\n"
    '  jax.jit(lambda x: x**number)(2.0)\n'
    '  print(any(pathlib.Path(place).iterdir()))\n'
  )
  places = [str(tmp_path / name) for name in ('first', 'second')]
  variables = {k: v for k, v in os.environ.items() if 'CACHE' not in k}
  result = subprocess.run(
    [sys.executable, '-c', code, *places],
    env=variables | {'PYTHONPATH': os.getcwd()},
    capture_output=True,
    text=True,
    check=True,
  )
  assert result.stdout.split() == ['True', 'True']
