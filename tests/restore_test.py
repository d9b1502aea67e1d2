"""A run's generators, brought back from its checkpoint alone."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax import errors
from cyclegan_jax import restore
from cyclegan_jax.networks import generators
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import kept


@pytest.fixture
def path(trained, tmp_path):
  """A copy of the checkpoint, in a workdir where nothing else is."""
  found = kept.find(trained)
  return shutil.copytree(found, tmp_path / 'run' / 'checkpoints' / found.name)


@pytest.fixture(scope='module')
def images():
  return np.linspace(-1, 1, 32 * 32, dtype=np.float32).reshape(1, 32, 32, 1)


def test_generators_are_the_networks_of_their_direction(path, images):
  module = generators.UNet(features=4, levels=3, dropout=0.5)
  like = jax.eval_shape(module.init, jax.random.key(0), jnp.asarray(images))
  translators = restore.load_translators(path)
  assert list(translators) == ['ab', 'ba']
  for direction, translator in translators.items():
    params = checkpoint.read_params(path, (f'gen_{direction}',), like['params'])
    expected = module.apply({'params': params}, jnp.asarray(images))
    np.testing.assert_allclose(translator.generate(images), expected, atol=1e-6)
    assert isinstance(translator.generate(images), np.ndarray)


def test_what_it_was_trained_on_is_named_from_source_to_target(path):
  meta = restore.read_meta(path)
  (translator,) = restore.load_translators(path, ['ba']).values()
  assert translator.direction == 'ba'
  assert translator.domains == ('T2w', 'T1w')
  assert translator.intensities == (
    meta.intensities['b'],
    meta.intensities['a'],
  )
  assert translator.settings[0].planes == ('axial', 'coronal')
  assert translator.settings[0].size == 32
  assert translator.multiple == 2**3
  assert (translator.step, translator.run) == (4, 'run')
  assert translator.network == 'unet'


def test_devices_share_images_and_change_nothing(path, images, monkeypatch):
  several = np.concatenate([images, -images, images**2, images**3, images / 2])
  four = restore.load_translators(path)['ab']
  shared = {n: four.generate(several[:n]) for n in (1, 4, 5)}
  monkeypatch.setattr(jax, 'local_devices', lambda: jax.devices()[:1])
  monkeypatch.setattr(jax, 'local_device_count', lambda: 1)
  one = restore.load_translators(path)['ab']
  assert (four.devices, one.devices) == (4, 1)
  for number, fakes in shared.items():
    expected = [one.generate(each[None])[0] for each in several[:number]]
    np.testing.assert_allclose(fakes, expected, atol=1e-6)
  # As many on each device as one gets by itself: the same program.
  many = np.concatenate([several, several[:3]])
  expected = [one.generate(many[i : i + 2]) for i in (0, 2, 4, 6)]
  monkeypatch.undo()
  np.testing.assert_array_equal(four.generate(many), np.concatenate(expected))


def test_translation_is_exact_whatever_training_was(path, images, change_meta):
  before = restore.load_translators(path)['ab'].generate(images)
  change_meta(
    path, lambda meta: meta['config'].update(compute_dtype='bfloat16')
  )
  after = restore.load_translators(path)['ab'].generate(images)
  assert after.dtype == np.float32
  np.testing.assert_array_equal(after, before)


def test_a_checkpoint_without_intensities_is_too_old(path, change_meta):
  change_meta(path, lambda meta: meta.pop('intensities'))
  with pytest.raises(errors.UserError, match='checkpoints/4 was written by an'):
    restore.load_translators(path)
