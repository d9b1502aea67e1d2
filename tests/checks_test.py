import json
import math

import pytest

from configs import default
from configs import smoke
from cyclegan_jax import checks
from cyclegan_jax import errors


@pytest.fixture
def config():
  return smoke.get_config()


@pytest.mark.parametrize(
  'field,value,message',
  [
    ('batch_size', 0, '--config.batch_size=0: it must be from 1 to 16,384'),
    ('batch_size', 10**8, 'batch_size=100000000: it must be from 1 to'),
    ('image_size', 10**6, 'image_size=1000000: it must be from 1 to 8,192'),
    ('crop_size', 64, 'crop_size=64: it must be at most image_size, 32'),
    ('phantom.sequence_b', (1.0,), r'sequence_b=\(1.0,\): .*TR, TE'),
    ('phantom.sequence_b', (500.0, 0.0), 'must be .TR, TE. or .TR, TE, TI'),
    ('pool_size', 10**7, 'pool_size=10000000: it must be from 0 to'),
    ('seed', 10**20 - 1, 'seed=99999999999999999999: it must be from 0 to'),
    ('generator.features', 10**5, 'features=100000: it must be from 1 to'),
    ('data.spacing', math.inf, 'spacing=inf: it must be greater than 0, at'),
    ('data.spacing', 0.0, 'spacing=0.0: it must be greater than 0, at most'),
    ('optimizer.learning_rate', math.nan, 'rate=nan: it must be from 0 to'),
    ('loss.cycle', math.nan, 'loss.cycle=nan: it must be from 0 to 1,000,0'),
    ('loss.cycle', -1.0, 'loss.cycle=-1.0: it must be from 0 to 1,000,000'),
    ('generator.leak', math.nan, 'generator.leak=nan: it must be from 0 to 1'),
    ('discriminator.leak', -0.1, 'discriminator.leak=-0.1: it must be from'),
    ('generator.dropout', 1.0, 'generator.dropout=1.0: .* less than, 1'),
    ('loss.kind', 'hinge', 'loss.kind=hinge: it must be one of bce, lsgan'),
    ('parallel', 'none', 'parallel=none: it must be one of pmap, shard_map'),
    ('data.zoom', 0.5, 'data.zoom=0.5: it must be from 1 to 8'),
    ('decay_epochs', 3, 'decay_epochs=3: it must be at most num_epochs, 2'),
    ('domains', ('T1w',), 'domains=.*: it must be two names'),
    ('domains', ('T1w', ' '), 'domains=.*: it must be two names'),
    ('data.planes', ('axial', 'axial'), r'data.planes=.*: it must be such as'),
    ('data.planes', ('oblique',), r'data.planes=.*: it must be such as'),
    (
      'data.window_a',
      (1.0, 0.0),
      'window_a=.*: it must be two numbers, the lo',
    ),
    ('data.window_b', ('low', 'high'), 'must be two numbers, the lower first'),
    ('data.slice_range', (0.5, math.nan), 'must be two numbers from 0 to 1, '),
    (
      'data.intensity_a',
      'max',
      'intensity_a=max: .* one of percentile, inside',
    ),
    ('data.train_a', 'x', 'data.train_b is empty: name both folders'),
  ],
)
def test_values_out_of_range_are_named(config, tmp_path, field, value, message):
  config.update_from_flattened_dict({field: value})
  with pytest.raises(errors.UserError, match=message):
    checks.check_training(config, str(tmp_path))


def test_crops_and_surroundings_do_not_go_together(config, tmp_path):
  with config.unlocked():
    config.generator = default.resnet()
  config.crop_size = 16
  checks.check_training(config, str(tmp_path))
  config.generator.contrast_map = True
  with pytest.raises(errors.UserError, match='crop_size=16.*look=depth'):
    checks.check_training(config, str(tmp_path))
  config.generator.contrast_look = 'depth'
  checks.check_training(config, str(tmp_path))


def test_every_field_that_may_change_exists():
  """A field that is renamed must not drop out of the checks."""
  assert (
    set(checks.RESUMABLE)
    <= checks.flatten(default.get_config().to_dict()).keys()
  )


def test_the_defaults_are_locked_and_valid(tmp_path):
  config = default.get_config()
  checks.check_training(config, str(tmp_path))
  with pytest.raises((AttributeError, KeyError), match='batch_size'):
    config.batchsize = 2
  with pytest.raises(TypeError):
    config.batch_size = 'two'


@pytest.fixture
def run(config, tmp_path):
  (tmp_path / 'checkpoints' / '4').mkdir(parents=True)
  content = {'config': config.to_dict()}
  (tmp_path / 'config.json').write_text(json.dumps(content))
  return tmp_path


def test_a_run_may_go_on_longer_and_tell_more(config, run):
  config.num_epochs = 5
  config.log_every_steps = 1
  checks.check_training(config, str(run))


def test_a_run_of_an_older_version_may_go_on(config, run):
  """It was begun when there was nothing to start from."""
  path = run / 'config.json'
  content = json.loads(path.read_text())
  del content['config']['start_from']
  path.write_text(json.dumps(content))
  checks.check_training(config, str(run))
  config.start_from = str(run.parent)
  with pytest.raises(errors.UserError, match=r"start_from \('' there, "):
    checks.check_training(config, str(run))


def test_a_run_that_differs_is_refused_with_the_fields(config, run):
  config.batch_size = 2
  config.generator.features = 8
  with pytest.raises(
    errors.UserError,
    match=r'batch_size \(1 there, 2 now\), generator.features \(4 there',
  ):
    checks.check_training(config, str(run))


def test_a_folder_without_checkpoints_is_no_run(config, run):
  (run / 'checkpoints' / '4').rmdir()
  config.batch_size = 2
  checks.check_training(config, str(run))


def test_a_workdir_that_is_a_file_is_refused(config, tmp_path):
  path = tmp_path / 'file'
  path.write_text('')
  with pytest.raises(errors.UserError, match='is a file'):
    checks.check_training(config, str(path))


@pytest.mark.parametrize('place', ['/proc/x', '/proc/x/y', 'file/x'])
def test_a_workdir_that_cannot_be_made_is_refused(config, tmp_path, place):
  (tmp_path / 'file').write_text('')
  with pytest.raises(errors.UserError, match='x.* cannot be written to: '):
    checks.check_training(config, str(tmp_path / place))
  checks.check_training(config, str(tmp_path / 'new' / 'run'))
  assert [path.name for path in tmp_path.iterdir()] == ['file'], 'no trace'


def test_what_is_to_be_translated_is_looked_for(run, tmp_path):
  with pytest.raises(errors.UserError, match='holds no checkpoint'):
    checks.check_inference(str(tmp_path / 'nowhere'), {})
  with pytest.raises(errors.UserError, match='--source: .* does not exist'):
    checks.check_inference(str(run), {'source': str(tmp_path / 'nowhere')})
  with pytest.raises(errors.UserError, match='name both'):
    checks.check_inference(str(run), {'source_a': str(tmp_path)})
  checks.check_inference(str(run), {'source_a': None, 'source_b': None})


def test_a_source_that_is_one_file_is_read_at_once(config, run, tmp_path):
  """Before JAX is imported, which takes seconds."""
  path = tmp_path / 'x.nii'
  path.write_text('no voxels')
  with pytest.raises(errors.UserError, match='--source_a: .* no.* NIfTI file'):
    checks.check_inference(
      str(run), {'source_a': str(path), 'source_b': str(path)}
    )
  config.data.train_a = config.data.train_b = str(path)
  with pytest.raises(errors.UserError, match='data.train_a: .* no.* NIfTI fil'):
    checks.check_training(config, str(tmp_path / 'new'))
