"""A run that starts from another's networks: the same, and fresh moments."""

import contextlib
import dataclasses
import json
import pathlib

import chex
import jax
import ml_collections
import numpy as np
import pytest

from configs import smoke
from cyclegan_jax import build
from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import pack
from cyclegan_jax import predecessor
from cyclegan_jax import restore
from cyclegan_jax import run as run_lib
from cyclegan_jax.mri import patients
from cyclegan_jax.mri import scans
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import devices
from cyclegan_jax.runtime import kept

_IMAGES = np.linspace(-1, 1, 32 * 32, dtype=np.float32).reshape(1, 32, 32, 1)


@pytest.fixture
def config(trained):
  """Of the trained run, for a new one that starts from it."""
  stored = json.loads((trained / 'config.json').read_text())['config']
  config = ml_collections.ConfigDict(stored)
  config.start_from = str(trained)
  return config


@pytest.fixture(scope='module')
def model(trained, tmp_path_factory):
  target = tmp_path_factory.mktemp('packed') / 'model.zip'
  pack.pack(str(trained), target=str(target))
  return target


def test_a_run_begins_as_the_one_it_starts_from(
  config, trained, tmp_path, capsys
):
  """With its translations, to the bit; from there on it is another run."""
  start = tmp_path / 'old'
  start.symlink_to(trained)
  config.start_from = str(start)
  config.optimizer.learning_rate = 1e-5
  config.domains = ('T1w', 'FLAIR')
  config.seed = 1
  workdir = tmp_path / 'new'
  checks.check_training(config, str(workdir))
  with contextlib.ExitStack() as stack:
    run = run_lib.open_run(config, workdir, stack)
    run_lib.begin(config, run)
    run_lib.save(run, 'newest', run.state, step=1)
    run_lib.settle(run)
    disc = jax.device_get(run.state.disc_a.params)
  before, after = (
    restore.load_translators(kept.find(each)) for each in (trained, workdir)
  )
  for direction, translator in after.items():
    np.testing.assert_array_equal(
      translator.generate(_IMAGES), before[direction].generate(_IMAGES)
    )
  saved = checkpoint.read_params(kept.find(trained), ['disc_a'], disc)
  chex.assert_trees_all_equal(disc, saved)
  told = capsys.readouterr().out
  assert f'from step 4 of {start}' in told
  assert 'is of T1w and T2w, this run of T1w and FLAIR' in told

  # What it goes on from is its own.
  meta = restore.read_meta(kept.find(workdir))
  assert meta.started_from == run.meta.started_from
  assert meta.started_from['step'] == 4 and meta.started_from['discriminators']
  before = restore.read_meta(kept.find(trained)).patients
  assert meta.trained_on() == [meta.patients, before] != [before, before]
  stored = meta.config['start_from']
  assert stored and str(tmp_path) not in stored
  start.unlink()
  checks.check_training(config, str(workdir))
  with contextlib.ExitStack() as stack:
    again = run_lib.open_run(config, workdir, stack)
  assert again.meta.step == 1
  assert again.meta.started_from == meta.started_from
  config.start_from = ''
  with pytest.raises(errors.UserError, match=r"start_from \(.* there, '' now"):
    checks.check_training(config, str(workdir))


def test_networks_alone_come_along(config, trained, model, capsys):
  """From a file, to averages, and with moments that know of nothing."""
  config.ema_decay = 0.9
  schedule = build.schedule(config, steps_per_epoch=1)
  fresh = devices.create_replicated(
    build.create_state(config, build.networks(config), schedule)
  )
  states, started = {}, {}
  for place in (trained, model):
    config.start_from = str(place)
    states[place], started[place] = predecessor.begin(config, fresh)
  assert started[trained] == started[model] | {'discriminators': True}
  assert 'discriminators begin anew: it has none' in capsys.readouterr().out
  state = states[model]
  saved = checkpoint.read_params(
    kept.find(trained), ['gen_ba'], fresh.gen_ba.params
  )
  chex.assert_trees_all_equal(jax.device_get(state.gen_ba.params), saved)
  chex.assert_trees_all_equal(state.averages, state.params('gen_ab', 'gen_ba'))
  for name in ('disc_a', 'disc_b'):
    chex.assert_trees_all_equal(
      getattr(state, name).params, getattr(fresh, name).params
    )
  chex.assert_trees_all_equal(state.gen_ab.opt_state, fresh.gen_ab.opt_state)
  assert state.step == 0
  first, second = (
    np.asarray(each.disc_a.params['out']['kernel'])
    for each in (states[trained], fresh)
  )
  assert not np.array_equal(first, second)


def test_discriminators_of_other_losses_begin_anew(config, capsys):
  config.loss.kind = 'lsgan'
  told = predecessor._look(config, predecessor._open(config))
  assert list(told['networks']) == ['gen_ab', 'gen_ba']
  assert 'begin anew: loss.kind was bce' in told['lines'][1]


def test_who_is_known_already_is_told_and_remains_known(config, scan_folder):
  """Anna, whom the other run was trained on, is held out from this one."""
  config.data.test_a = str(scan_folder / 'a*' / 'T1.nii.gz')
  config.data.test_b = str(scan_folder / 'c*' / 'T2.nii.gz')
  source = predecessor._open(config)
  told = predecessor._look(config, source)
  assert 'warning: 1 of the held-out patients were' in told['lines'][-1]
  assert '(anna)' in told['lines'][-1]
  other = dataclasses.replace(
    source.meta,
    config=smoke.get_config().to_dict(),
    patients={'salt': None, 'marks': []},
    started_from=told['known'],
  )
  assert other.learnt_from() == ['scans', 'simulated']
  found = scans.find_scans(config.data.test_a)
  assert patients.find_known(found, *other.trained_on()) == ['anna']
  assert patients.find_known(found, other.patients) == []
  notice = pack._write_notice(source._replace(meta=other))
  assert 'from scans of people and simulated heads.' in notice
  assert 'Fonov' in notice and 'treat them as you would' in notice


def check(config):
  new = pathlib.Path('a run that is not there yet')
  predecessor.check(config, new, build.networks(config)['generator'])


def test_other_networks_are_refused_with_their_fields(config):
  """What they are applied to, and how they learn, may be another."""
  config.image_size = 64
  config.generator.dropout = 0.0
  config.compute_dtype = 'bfloat16'
  check(config)
  config.generator.features = 8
  config.generator.levels = 4
  with pytest.raises(
    errors.UserError,
    match=r'features \(4 there, 8 now\), generator.levels \(3 there, 4 now',
  ):
    check(config)
  config.generator = dict(
    network='resnet', features=4, blocks=1, contrast_map=False
  )
  with pytest.raises(
    errors.UserError, match=r'network \(unet there, resnet now\); use the same'
  ):
    check(config)


@pytest.mark.parametrize(
  'start,message',
  [
    ('nowhere', '--config.start_from=.*nowhere holds no checkpoint'),
    ('new', '--config.start_from=.*new is the workdir of this run'),
    ('file.zip', 'file.zip is no model of --mode=pack, or is damaged'),
  ],
)
def test_what_nothing_starts_from_is_refused(config, tmp_path, start, message):
  (tmp_path / 'file.zip').write_text('')
  config.start_from = str(tmp_path / start)
  with pytest.raises(errors.UserError, match=message):
    checks.check_training(config, str(tmp_path / 'new'))
  assert not (tmp_path / 'new').exists()
