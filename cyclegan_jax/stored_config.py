"""The config of a run as it is stored, and read again on any machine."""

import ml_collections

from cyclegan_jax import rules
from cyclegan_jax.mri import channels
from cyclegan_jax.runtime import cache_folders

HIDDEN = '(see config.json)'
UNKNOWN = '(not known: imported)'  # in place of scans
_SOURCES = ('train_a', 'train_b', 'test_a', 'test_b')


def hide_paths(stored: dict) -> dict:
  """A config without the places of scans and runs, which can name people.

  config.json has them, where they are plain to see and can be taken out; what a
  checkpoint needs besides is that the scans were not the simulated heads.

  Args:
    stored: `config.to_dict()`.
  """
  data = stored['data']
  hidden = {
    name: HIDDEN for name in _SOURCES if data[name] and data[name] != UNKNOWN
  }
  start = {'start_from': HIDDEN} if stored.get('start_from') else {}
  return stored | start | {'data': data | hidden}


def hide_machine(stored: dict) -> dict:
  """A config to hand on: neither places of scans nor anything of the machine.

  Args:
    stored: as a checkpoint holds it; older runs lack some fields.
  """
  hidden = hide_paths(stored)
  known = {'compile_cache': '', 'distributed': 'auto'}
  plain = {name: value for name, value in known.items() if name in stored}
  return hidden | plain | {'data': hidden['data'] | {'cache': ''}}


def read(stored: dict) -> ml_collections.ConfigDict:
  """The config of a run, for use with what it has learnt, on any machine.

  Translation is in float32, whatever training was in. Caches are a matter of
  the machine: where those named there cannot be written here, the user's own
  are taken.

  Args:
    stored: as a checkpoint holds it; older runs lack some fields.
  """
  config = ml_collections.ConfigDict(
    rules.complete(stored) | {'compute_dtype': 'float32'}
  )
  for section, field in ((config, 'compile_cache'), (config.data, 'cache')):
    if not cache_folders.is_usable(section[field]):
      section[field] = ''
  return config


def input_channels(config: ml_collections.ConfigDict) -> int:
  """How many a generator takes: by place, the level of slices is one more."""
  by_place = config.generator.get('contrast_look') == 'place'
  mapped = config.generator.get('contrast_map', False)
  return channels.LEVELLED if mapped and by_place else config.channels
