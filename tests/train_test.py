"""Whole runs in this process, on four devices: resuming is bit-exact."""

import contextlib
import errno
import importlib
import io
import itertools
import json
import pathlib
import re
import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from cyclegan_jax import build
from cyclegan_jax import compilation
from cyclegan_jax import errors
from cyclegan_jax import restore
from cyclegan_jax import stored_config
from cyclegan_jax import train
from cyclegan_jax.reporting import description as description_lib
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import kept
from cyclegan_jax.runtime import processes

_CONFIGS = pathlib.Path(__file__).parent.parent / 'configs'
_STEPS = 7  # epochs are of 2 steps: 7 slices, 4 a step


def load_config(name):
  return importlib.import_module(f'configs.{name}').get_config()


def make_config(slice_folders):
  """The smoke recipe on own slices, stopping mid-epoch and mid-window."""
  config = load_config('smoke')
  config.num_epochs = 6
  config.decay_epochs = 3
  config.max_steps = _STEPS
  config.batch_size = 4
  config.data.zoom = 1.25
  config.crop_size = 28
  config.generator.levels = 2
  config.ema_decay = 0.9
  config.log_every_steps = 2
  config.checkpoint_every_steps = 4
  config.data.cache = str(slice_folders.parent / 'cache')
  for name in ('train_a', 'train_b', 'test_a', 'test_b'):
    config.data[name] = str(slice_folders / name)
  return config


@pytest.fixture
def config(slice_folders):
  return make_config(slice_folders)


@pytest.fixture(scope='module')
def uninterrupted(slice_folders, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('uninterrupted')
  state = train.train(make_config(slice_folders), workdir)
  return workdir, jax.device_get(state)


@pytest.fixture(scope='module')
def watched(slice_folders, tmp_path_factory):
  """What a run leaves and says that logs, evaluates, saves at every step."""
  config = make_config(slice_folders)
  config.log_every_steps = config.evaluate_every_steps = 1
  config.checkpoint_every_steps = 1
  config.keep_checkpoints = 2
  workdir = tmp_path_factory.mktemp('watched')
  with contextlib.redirect_stdout(io.StringIO()) as said:
    train.train(config, workdir)
  return workdir, said.getvalue()


def leaves(state):
  """Every array of a state: its static fields differ from run to run."""
  return jax.tree.leaves(jax.device_get(state))


def read_lines(workdir):
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  lines = [json.loads(line) for line in lines]
  for line in lines:
    line.pop('images_per_second', None)
  return lines


@pytest.mark.portable
def test_resumed_equals_uninterrupted(config, uninterrupted, tmp_path):
  """Parameters, moments, pools, data order and metrics, to the last bit.

  Stopped in the middle of an epoch, and at the end of one.
  """
  for config.max_steps in (3, 4, _STEPS):
    state = train.train(config, tmp_path)
  workdir, expected = uninterrupted
  assert int(state.step) == _STEPS
  chex.assert_trees_all_equal(leaves(state), leaves(expected))
  assert read_lines(tmp_path) == read_lines(workdir)
  for name in ('step_0000004.png', 'step_0000007.png'):
    np.testing.assert_array_equal(
      *(
        np.asarray(Image.open(w / 'samples' / name))
        for w in (tmp_path, workdir)
      )
    )


def test_lines_and_samples_that_a_kill_has_undone_are_made_anew(
  config, uninterrupted, tmp_path
):
  """Killed after step 7, the newest complete checkpoint being of step 4."""
  shutil.copytree(uninterrupted[0], tmp_path, dirs_exist_ok=True)
  shutil.rmtree(tmp_path / 'checkpoints' / '7')
  (tmp_path / 'checkpoints' / '7.orbax-checkpoint-tmp').mkdir()
  with (tmp_path / 'metrics.jsonl').open('a') as file:
    file.write('{"step": 8, "epo')
  samples = tmp_path / 'samples'
  for name in ('step_0000005.png', 'step_mine.png'):
    (samples / name).write_text('')
  state = train.train(config, tmp_path)
  workdir, expected = uninterrupted
  chex.assert_trees_all_equal(leaves(state), leaves(expected))
  assert read_lines(tmp_path) == read_lines(workdir)
  names = {path.name for path in (workdir / 'samples').iterdir()}
  assert {path.name for path in samples.iterdir()} == {*names, 'step_mine.png'}


def test_what_a_run_leaves_behind(config, uninterrupted):
  workdir, state = uninterrupted
  description = json.loads((workdir / 'config.json').read_text())
  assert description['config']['batch_size'] == 4
  assert description['versions']['jax'] == jax.__version__
  lines = read_lines(workdir)
  # Random slices teach nothing, and a run says so.
  warnings = [line for line in lines if line['kind'] == 'warning']
  assert {line['about'] for line in warnings} <= {
    *('polarity_ab', 'polarity_ba', 'variance_ab', 'variance_ba'),
  }
  assert all('T1' in line['text'] for line in warnings)
  lines = [line for line in lines if line['kind'] != 'warning']
  kinds = [(line['kind'], line['step'], line['epoch']) for line in lines]
  assert kinds == [
    ('step', 2, 1),
    ('epoch', 2, 1),
    ('step', 4, 2),
    ('epoch', 4, 2),
    ('evaluation', 4, 2),
    ('step', 6, 3),
    ('epoch', 6, 3),
    ('evaluation', 7, 4),
    ('step', 7, 4),
  ]
  scores = lines[4]
  assert {'psnr_ab', 'ssim_ba', 'psnr_unchanged', 'distance_ab'} < set(scores)
  assert lines[0]['learning_rate'] == pytest.approx(2e-4)
  # Update 6, from 0, is the first of the decay, which takes 6 of 12.
  assert lines[-1]['learning_rate'] == pytest.approx(2e-4)
  assert list((workdir / 'tensorboard').iterdir())
  assert state.pool_a.count == 2


def test_an_epochs_line_is_the_average_of_its_steps(watched):
  lines = read_lines(watched[0])
  steps = [line for line in lines if line['kind'] == 'step']
  epochs = [line for line in lines if line['kind'] == 'epoch']
  assert [line['step'] for line in epochs] == [2, 4, 6]
  for epoch in epochs:
    for name in ('generator_ab', 'generator_ba', 'discriminator_a'):
      mean = np.mean([s[name] for s in steps if s['epoch'] == epoch['epoch']])
      assert epoch[name] == pytest.approx(mean, rel=1e-12)


def test_the_newest_checkpoints_are_kept(watched):
  folder = watched[0] / 'checkpoints'
  assert {path.name for path in folder.iterdir()} == {'6', '7'}
  items = {path.name for path in (folder / '7').iterdir()}
  assert {'gen_ab', 'gen_ba', 'disc_a', 'disc_b', 'pools', 'meta'} < items


def test_the_best_checkpoint_is_the_least_distant(watched):
  lines = [x for x in read_lines(watched[0]) if x['kind'] == 'evaluation']
  assert [line['step'] for line in lines] == list(range(1, _STEPS + 1))
  best = min(lines, key=lambda line: line['distance'])
  path = kept.find(watched[0], 'best')
  assert path.name == str(best['step'])
  assert [p.name for p in path.parent.iterdir()] == [path.name]
  meta = checkpoint.read_meta(path)
  assert meta['distance'] == best['distance']
  translator = restore.load_translators(path)['ab']
  assert translator.step == best['step']


def test_a_resumed_run_knows_its_best_checkpoint(
  config, watched, tmp_path, change_meta
):
  shutil.copytree(watched[0], tmp_path, dirs_exist_ok=True)
  best = kept.find(tmp_path, 'best')
  # Nothing is nearer.
  change_meta(best, lambda meta: meta.update(distance=0.0))
  config.evaluate_every_steps = 1
  config.max_steps = _STEPS + 2
  train.train(config, tmp_path)
  assert kept.find(tmp_path, 'best') == best
  assert kept.find(tmp_path).name == str(_STEPS + 2)


def test_the_best_of_a_killed_run_is_not_that_of_the_next(
  config, watched, tmp_path, change_meta
):
  """Killed after an evaluation and before its first checkpoint."""
  shutil.copytree(watched[0], tmp_path, dirs_exist_ok=True)
  config.evaluate_every_steps = 1
  config.max_steps = 2
  change_meta(
    kept.find(tmp_path, 'best'), lambda meta: meta.update(distance=0.0)
  )
  shutil.rmtree(tmp_path / 'checkpoints')
  config.seed = 1
  train.train(config, tmp_path)
  assert checkpoint.read_meta(kept.find(tmp_path, 'best'))['distance'] > 0


def test_an_evaluation_at_the_end_alone_chooses_no_best(config, tmp_path):
  """A longer run, which has no evaluation there, would not have it."""
  config.evaluate_every_steps = 2
  config.max_steps = 3
  train.train(config, tmp_path)
  meta = checkpoint.read_meta(kept.find(tmp_path, 'best'))
  assert meta['step'] == 2
  lines = [x for x in read_lines(tmp_path) if x['kind'] == 'evaluation']
  assert [line['step'] for line in lines] == [2, 3]
  assert kept.find(tmp_path).name == '3'


@pytest.mark.parametrize('stop', [3, None])
def test_what_cannot_be_saved_is_not_said_to_be(
  config, tmp_path, monkeypatch, stop
):
  """Neither where a run is asked to stop nor at its end."""

  @contextlib.contextmanager
  def listen(when):
    del when
    steps = itertools.count(1)
    yield lambda: next(steps) == stop

  def find_no_room(*args):
    raise OSError(errno.ENOSPC, 'No space left on device')

  config.checkpoint_every_steps = 100
  monkeypatch.setattr(processes, 'listen', listen)
  monkeypatch.setattr(checkpoint, 'write', find_no_room)
  with pytest.raises(errors.Unsaved, match=f'step {stop or _STEPS} could not'):
    train.train(config, tmp_path)
  assert read_lines(tmp_path)


def test_a_finished_run_has_nothing_left_to_do(uninterrupted, config, capsys):
  workdir, expected = uninterrupted
  state = train.train(config, workdir)
  chex.assert_trees_all_equal(leaves(state), leaves(expected))
  assert 'nothing left to do' in capsys.readouterr().out
  facts = json.loads((workdir / 'config.json').read_text())['facts']
  assert facts['started'] <= facts['finished']


def test_a_run_that_was_stopped_before_its_pages_writes_them(
  uninterrupted, config, tmp_path
):
  workdir = shutil.copytree(uninterrupted[0], tmp_path / 'run')

  def read_facts():
    return json.loads((workdir / 'config.json').read_text())['facts']

  finished = read_facts()['finished']
  (workdir / 'report.html').unlink()
  train.train(config, workdir)
  assert read_facts()['finished'] >= finished
  assert (workdir / 'report.html').exists()
  unfinished = {'num_steps': 1, 'started': ''}
  description_lib.write(workdir, {}, unfinished, resumed=True)
  assert 'finished' not in read_facts(), 'it goes on'
  train.train(config, workdir)
  assert 'finished' in read_facts() and (workdir / 'report.html').exists()


def test_other_slices_are_not_resumed(
  config, uninterrupted, slice_folders, tmp_path
):
  other = tmp_path / 'other'
  shutil.copytree(slice_folders / 'train_b', other)
  next(other.iterdir()).unlink()
  config.data.train_b = str(other)
  with pytest.raises(errors.UserError, match='data.train_b: the slices of'):
    train.train(config, uninterrupted[0])


def test_a_checkpoint_of_four_devices_opens_on_one(config, uninterrupted):
  workdir, expected = uninterrupted
  schedule = build.schedule(config, steps_per_epoch=2)
  like = jax.jit(build.create_state(config, build.networks(config), schedule))()
  assert len(like.step.sharding.device_set) == 1
  trees = checkpoint.read_trees(kept.find(workdir), like.trees())
  state = like.with_trees(trees)
  chex.assert_trees_all_equal(leaves(state), leaves(expected))


def test_the_averages_translate(uninterrupted):
  workdir, state = uninterrupted
  path = kept.find(workdir)
  for direction in ('ab', 'ba'):
    average = state.averages[f'gen_{direction}']
    name = f'gen_{direction}'
    restored = checkpoint.read_params(path, (f'average_{name}', name), average)
    chex.assert_trees_all_equal(restored, average)
    newest = getattr(state, f'gen_{direction}').params
    assert leaves(newest)[0].shape == leaves(average)[0].shape
    assert not np.array_equal(leaves(newest)[0], leaves(average)[0])


def test_a_step_that_does_not_fit_is_told_with_a_way_out(
  config, tmp_path, monkeypatch
):
  def find_no_room(*args):
    raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: out of memory')

  monkeypatch.setattr(
    train.devices, 'data_parallel', lambda *args, **kwargs: find_no_room
  )
  with pytest.raises(errors.UserError, match='too little memory.*remat=True'):
    train.train(config, tmp_path)


def test_memory_is_estimated_before_training(watched):
  assert 'memory: a step takes 0.0 GiB of ' in watched[1]


def test_a_device_that_does_not_tell_what_a_step_takes_trains(
  config, tmp_path, capsys, monkeypatch
):
  config.max_steps = 1
  monkeypatch.setattr(jax.stages.Compiled, 'memory_analysis', lambda self: None)
  assert int(train.train(config, tmp_path).step) == 1
  assert 'memory: ' not in capsys.readouterr().out


@pytest.mark.parametrize(
  'size,message',
  [
    (1000, r'at least 0 GiB of the 0.0 GiB of a device: try --config.remat=T'),
    (2**19, r'takes 0.0 GiB of 0.0 GiB, and does not fit: try --config.remat'),
  ],
)
def test_memory_that_does_not_suffice_is_told_before_training(
  config, tmp_path, monkeypatch, size, message
):
  """By a bound before anything is made, then by what the compiler says."""
  monkeypatch.setattr(train.devices, 'memory_of_device', lambda: size)
  with pytest.raises(errors.UserError, match=message):
    train.train(config, tmp_path)


@pytest.mark.parametrize(
  'field,value',
  [
    ('generator.features', 1024),
    ('discriminator.features', 1024),
    ('image_size', 8192),
    ('pool_size', 2**17),
  ],
)
def test_what_no_device_has_room_for_is_not_even_made(
  config, monkeypatch, field, value
):
  monkeypatch.setattr(train.devices, 'memory_of_device', lambda: 2**29)
  compilation.check_room(config)
  config.update_from_flattened_dict({field: value})
  with pytest.raises(errors.UserError, match='at least [1-9][0-9,]* GiB of '):
    compilation.check_room(config)


def test_steps_without_a_finite_loss_stop_the_run(config, tmp_path, capsys):
  """What was learnt before stays; loss, step and slices are named."""
  config.optimizer.learning_rate = 1e30
  config.max_bad_steps = 3
  config.checkpoint_every_steps = 2
  with pytest.raises(FloatingPointError) as raised:
    train.train(config, tmp_path)
  found = re.match(
    r'(\w+) is (nan|inf) at step (\d+), which saw T1w \S+_z00\d.*; '
    r'T2w \S+_z.*, and no later step could be applied, 3 in all',
    str(raised.value),
  )
  assert found, raised.value
  first = int(found[3])
  path = kept.find(tmp_path)
  assert int(path.name) < first + 3
  params = checkpoint.read_params(
    path,
    ('gen_ab',),
    jax.eval_shape(
      build.networks(config)['generator'].init,
      jax.random.key(0),
      jnp.zeros((1, 32, 32, 1)),
    )['params'],
  )
  chex.assert_tree_all_finite(params)
  said = capsys.readouterr().out
  assert f'at step {first}, which saw ' in said and 'is not applied' in said


def test_translations_that_are_not_finite_stop_the_run(
  config, tmp_path, monkeypatch
):
  """Before a checkpoint of them is written."""
  measures = {'distance_ab': 0.1, 'distance_ba': np.nan, 'distance': np.nan}
  monkeypatch.setattr(train.monitor, 'measure', lambda *_: dict(measures))
  config.max_steps = 1
  with pytest.raises(FloatingPointError, match='is nan at step 1'):
    train.train(config, tmp_path)
  with pytest.raises(errors.UserError, match='no newest checkpoint'):
    kept.find(tmp_path)


@pytest.mark.parametrize(
  'name', sorted(path.stem for path in _CONFIGS.glob('[!_]*.py'))
)
def test_every_config_traces(name):
  """Networks, losses and optimizer of each recipe fit together."""
  config = load_config(name)
  schedule = build.schedule(config, steps_per_epoch=10)
  state = jax.eval_shape(
    build.create_state(config, build.networks(config), schedule)
  )
  channels = stored_config.input_channels(config)
  side = config.image_size
  shape = (config.batch_size, side, side, channels)
  batch = dict.fromkeys('ab', jax.ShapeDtypeStruct(shape, np.float32))
  key = jax.eval_shape(lambda: jax.random.key(0))
  after, metrics = jax.eval_shape(build.train_step(config), state, batch, key)
  chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
  chex.assert_shape(metrics.vector, (len(metrics),))
