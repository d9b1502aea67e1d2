"""Mistakes that can be found before anything heavy is imported.

Standard library and `mri` only, so that a wrong flag or path is answered at
once.
"""

import contextlib
import json
import os
import pathlib

from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import places
from cyclegan_jax import rules
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.runtime import cluster
from cyclegan_jax.runtime import kept
from cyclegan_jax.runtime import workdir_lock

# Fields that may differ between the processes of a run: where things are.
LOCAL = (
  'distributed',
  'compile_cache',
  'data.train_a',
  'data.train_b',
  'data.test_a',
  'data.test_b',
  'data.threads',
  'data.cache',
)

# Fields that may change when a run is resumed: they decide how long it goes on,
# what it tells and on what it runs, not what a step does. Where the data lie
# may change too; that they are the same is checked when they have been read.
RESUMABLE = (
  *LOCAL,
  'num_epochs',
  'decay_epochs',
  'max_steps',
  'parallel',
  'deterministic',
  'accumulate_steps',
  'remat',
  'max_bad_steps',
  'domains',
  'log_every_steps',
  'sample_every_steps',
  'evaluate_every_steps',
  'checkpoint_every_steps',
  'keep_checkpoints',
  'phantom.test_people',
)


def check_training(config, workdir: str):
  """Checks a config's values, its folders and the run it would go on with.

  Args:
    config: a ConfigDict.
    workdir: of the run.

  Raises:
    UserError: for the first mistake found.
  """
  rules.check_values(flatten(config.to_dict()))
  rules.check_trainable(config.generator)
  places.check_places(
    {'--workdir': workdir, '--config.start_from': config.start_from}
    | _folders(config.data)
  )
  _check_folders(config.data)
  # Of several processes the first does so once it knows that it is.
  if cluster.find(config.distributed, os.environ) is None:
    check_workdir(config, pathlib.Path(workdir))


def find_changes(stored: dict, config: dict) -> dict[str, tuple]:
  """(old, new) of the fields that differ between two configs, by dotted name.

  Args:
    stored: nested dicts out of JSON; an older version's lacks fields.
    config: nested dicts.
  """
  old = flatten(stored)
  new = flatten(json.loads(json.dumps(config)))  # tuples become lists
  return {
    name: (old.get(name, 'absent'), new.get(name, 'absent'))
    for name in sorted(old.keys() | new.keys())
    if old.get(name, 'absent') != new.get(name, 'absent')
  }


def shared_fields(config) -> dict:
  """What all processes of a run have to agree on, by dotted name."""
  fields = flatten(config.to_dict())
  return {name: x for name, x in fields.items() if name not in LOCAL}


def check_inference(workdir: str, arguments: dict):
  """Checks that a run, and what it is to be applied to, are there.

  Args:
    workdir: of the run, or a file of `--mode=pack`.
    arguments: flags by name; the checkpoint and those that name sources are
      checked.

  Raises:
    UserError: for the first mistake found.
  """
  places.check_places(
    {'--workdir': workdir}
    | {
      f'--{name}': value
      for name, value in arguments.items()
      if name.startswith('source') or name == 'target'
    }
  )
  _check_kept('--workdir', workdir, arguments.get('checkpoint', 'newest'))
  sources = {
    name: value
    for name, value in arguments.items()
    if name.startswith('source') and value
  }
  if len(sources) == 1 and 'source' not in sources:
    raise errors.UserError('name both --source_a=DIR and --source_b=DIR')
  for name, value in sources.items():
    try:
      scans.check_source(value)
      if name != 'source':  # which is read first of all where it is alone
        _read_alone(value)
    except errors.UserError as error:
      raise errors.UserError(f'--{name}: {error}') from None


def check_pack(workdir: str, arguments: dict):
  """Checks that a run can be packed, and its file be written.

  Args:
    workdir: of the run.
    arguments: flags by name.

  Raises:
    UserError: for the first mistake found.
  """
  check_inference(workdir, arguments)
  target = pathlib.Path(arguments['target'])
  if pathlib.Path(workdir).is_file():
    raise errors.UserError(f'--workdir={workdir} is packed already: copy it')
  if target.suffix != '.zip':
    raise errors.UserError(
      f'--target={target}: name a file that ends in .zip, such as '
      f'{target.name or "model"}.zip'
    )
  check_new_file(target, overwrite=arguments['overwrite'])


def check_new_file(target: pathlib.Path, *, overwrite: bool):
  """Checks that a file can be made there, and that none has to give way."""
  if target.is_dir():
    raise errors.UserError(f'--target={target} is a folder; name a file')
  if not target.parent.is_dir():
    raise errors.UserError(
      f'--target={target}: there is no folder {target.parent}; make it first'
    )
  if target.exists() and not overwrite:
    raise errors.UserError(f'--target={target} exists; --overwrite replaces it')
  places.check_file(str(target))


def _read_alone(source):
  """Reads a source that is one file, to tell what is wrong with it at once."""
  if os.path.isfile(source):
    (scan,) = scans.find_scans(source)
    with contextlib.suppress(volume.NotChosenError):  # a field may choose
      dispatch.read_scan(scan)


def flatten(section: dict, prefix: str = '') -> dict:
  """Fields of nested sections by their dotted names."""
  fields = {}
  for name, value in section.items():
    if isinstance(value, dict):
      fields |= flatten(value, f'{prefix}{name}.')
    else:
      fields[prefix + name] = value
  return fields


def _check_folders(data):
  for first, second in (('train_a', 'train_b'), ('test_a', 'test_b')):
    if bool(data[first]) != bool(data[second]):
      missing = second if data[first] else first
      raise errors.UserError(
        f'data.{missing} is empty: name both folders, '
        f'--config.data.{first}=DIR_A --config.data.{second}=DIR_B'
      )
  if data.test_a and not data.train_a:
    raise errors.UserError(
      'data.test_a and data.test_b are named, data.train_a and data.train_b '
      'are not: name them too'
    )
  for name, place in _folders(data).items():
    if place:
      try:
        scans.check_source(place)
        _read_alone(place)
      except errors.UserError as error:
        raise errors.UserError(f'{name}: {error}') from None


def _folders(data):
  names = ('train_a', 'train_b', 'test_a', 'test_b')
  return {f'data.{name}': data[name] for name in names}


def check_workdir(config, workdir: pathlib.Path):
  """Checks that a run can be kept in a folder, or be gone on with there.

  Args:
    config: a ConfigDict.
    workdir: of the run.

  Raises:
    UserError: if it cannot, or is of another config.
  """
  if workdir.suffix == '.zip' and not workdir.is_dir():
    raise errors.UserError(
      f'--workdir={workdir} is a packed model, in which nothing is trained: '
      f'name a new folder, and --config.start_from={workdir}'
    )
  if workdir.exists() and not workdir.is_dir():
    raise errors.UserError(f'--workdir={workdir} is a file; name a folder')
  workdir_lock.check(workdir)
  try:
    files.probe_folder(workdir)
  except OSError as error:
    raise errors.UserError(
      f'--workdir={workdir} cannot be written to: {error.strerror}; name '
      'another folder'
    ) from None
  _check_start(config.start_from, workdir)
  if not kept.list_kind(workdir, 'newest'):
    if config.start_from:
      _check_kept('--config.start_from', config.start_from, 'newest')
    return
  path = workdir / 'config.json'
  try:
    told = json.loads(path.read_text())
    run = rules.complete(told['config'])
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise errors.UserError(
      f'{workdir} holds checkpoints but {path} cannot be read ({error}); '
      'use another --workdir'
    ) from None
  if told.get('facts', {}).get('imported'):
    raise errors.UserError(
      f'--workdir={workdir} holds an imported model, in which nothing is '
      f'trained: name a new folder, and --config.start_from={workdir}'
    )
  differing = [
    f'{name} ({_show(old)} there, {_show(new)} now)'
    for name, (old, new) in find_changes(run, config.to_dict()).items()
    if name not in RESUMABLE
  ]
  if differing:
    raise errors.UserError(
      f'{workdir} holds a run that differs in {", ".join(differing)}; '
      'use the same values to resume it, or another --workdir'
    )


def _show(value):
  return "''" if value == '' else value


def _check_start(start_from, workdir):
  """A run does not start from itself."""
  if start_from and os.path.realpath(start_from) == os.path.realpath(workdir):
    raise errors.UserError(
      f'--config.start_from={start_from} is the workdir of this run: name that '
      'of another, or leave it out'
    )


def _check_kept(name, place, which):
  """That a flag or field names a run, or a packed one, with a checkpoint."""
  path = pathlib.Path(place)
  there = path.is_file() or any(
    kept.list_kind(path, kind) for kind in kept.KINDS
  )
  if not there:
    raise errors.UserError(
      f'{name}={place} holds no checkpoint; name the folder of a run, or a '
      'file of --mode=pack'
    )
  kept.find(place, which)
