"""A run's config as it is stored, and as another machine reads it."""

import json

import pytest

from configs import smoke
from cyclegan_jax import stored_config


@pytest.fixture
def config():
  return smoke.get_config()


def test_the_caches_of_another_machine_are_left_alone(
  config, tmp_path, monkeypatch
):
  """A run that was trained where there is a /scratch is read where is none."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
  for here in ('/proc/scratch', str(tmp_path / 'there')):
    config.compile_cache = config.data.cache = here
    read = stored_config.read(config.to_dict())
    expected = '' if here.startswith('/proc') else here
    assert (read.compile_cache, read.data.cache) == (expected, expected)
  config.compile_cache = 'off'
  assert stored_config.read(config.to_dict()).compile_cache == 'off'


def test_a_checkpoint_tells_that_there_were_scans_and_not_where(config):
  config.data.train_a = config.data.train_b = '/scans/anna_smith'
  config.compile_cache = 'kept'
  hidden = stored_config.hide_paths(config.to_dict())
  assert 'anna' not in json.dumps(hidden)
  assert hidden['data']['train_a'] == hidden['data']['train_b'] != ''
  assert hidden['data']['test_a'] == hidden['data']['test_b'] == ''
  assert set(hidden['data']) == set(config.data)
  del hidden['data']
  assert hidden == {k: v for k, v in config.to_dict().items() if k != 'data'}


def test_what_is_handed_on_tells_nothing_of_the_machine(config):
  config.start_from = config.data.cache = config.compile_cache = '/home/jane'
  config.distributed = 'jane.example.org:1234,1,0'
  hidden = stored_config.hide_machine(config.to_dict())
  assert 'jane' not in json.dumps(hidden)
  assert hidden['start_from'] and set(hidden) == set(config)
  older = config.to_dict()
  del older['start_from'], older['distributed'], older['compile_cache']
  hidden = stored_config.hide_machine(older)
  assert set(hidden) == set(older) and 'jane' not in json.dumps(hidden)


def test_translation_is_in_float32_and_older_runs_lack_fields(config):
  config.compute_dtype = 'bfloat16'
  stored = config.to_dict()
  del stored['compile_cache']
  read = stored_config.read(stored)
  assert read.compute_dtype == 'float32' and read.compile_cache == ''
  assert read.generator.to_dict() == config.generator.to_dict()
  assert stored['compute_dtype'] == 'bfloat16'
