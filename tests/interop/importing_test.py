"""A model of PyTorch's, imported: it does what a run does, but for training."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import chex
import jax
import ml_collections
import nibabel as nib
import numpy as np
import pytest
from safetensors import numpy as safetensors

torch = pytest.importorskip('torch', reason='PyTorch is not installed')

import torch_reference

from configs import default
from configs import t1t2_resnet
from cyclegan_jax import build
from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import evaluate
from cyclegan_jax import export
from cyclegan_jax import imported_config
from cyclegan_jax import importing
from cyclegan_jax import listing
from cyclegan_jax import pack
from cyclegan_jax import predecessor
from cyclegan_jax import report
from cyclegan_jax import restore
from cyclegan_jax import stored_config
from cyclegan_jax.mri import intensity
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import devices
from cyclegan_jax.runtime import kept

_ROOT = pathlib.Path(__file__).parents[2]
_FLAGS = dict(
  domains=['T1w', 'CT'],
  spacing=1.0,
  intensity_a='percentile',
  intensity_b='window:-1000,1000',
  image_size=32,
)


@pytest.fixture(scope='module')
def networks():
  """Those of a model of the reference, by its names."""
  torch.manual_seed(0)
  made = {name: torch_reference.resnet(1, 2, 1) for name in ('G_A', 'G_B')}
  return made | {
    name: torch_reference.discriminator(1, 2, 2) for name in ('D_A', 'D_B')
  }


@pytest.fixture(scope='module')
def folder(networks, tmp_path_factory):
  folder = tmp_path_factory.mktemp('checkpoints')
  for name, network in networks.items():
    torch.save(network.state_dict(), folder / f'latest_net_{name}.pth')
    torch.save({}, folder / f'5_net_{name}.pth')  # an older epoch
  return folder


@pytest.fixture(scope='module')
def imported(folder, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('imported') / 'run'
  importing.import_networks(str(workdir), source=str(folder), **_FLAGS)
  return workdir


@pytest.fixture(scope='module')
def alone(folder, tmp_path_factory):
  """Of one generator."""
  workdir = tmp_path_factory.mktemp('alone') / 'run'
  source = str(folder / 'latest_net_G_B.pth')
  importing.import_networks(str(workdir), source=source, **_FLAGS)
  return workdir


@pytest.fixture
def config(imported, tmp_path):
  """Of a training that starts from it: the recipe of the reference."""
  config = t1t2_resnet.get_config()
  config.image_size = 32
  config.domains = ('T1w', 'CT')
  config.generator.features = 2
  config.generator.blocks = 1
  config.discriminator.features = 2
  config.discriminator.layers = 2
  config.pool_size = 2
  config.start_from = str(imported)
  config.data.cache = str(tmp_path)
  return config


def test_its_translators_make_what_the_networks_made(imported, networks):
  images = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 1))
  images = images.astype(np.float32)
  translators = restore.load_translators(kept.find(imported))
  for direction, name in (('ab', 'G_A'), ('ba', 'G_B')):
    with torch.no_grad():
      theirs = networks[name].eval()(torch.from_numpy(images[None, ..., 0]))
    ours = translators[direction].generate(images)
    np.testing.assert_allclose(ours[..., 0], theirs.numpy()[0], atol=1e-5)


def test_a_discriminator_comes_to_the_domain_that_it_judges(imported, networks):
  """The reference's D_A judges images of B."""
  for ours, theirs in (('disc_a', 'D_B'), ('disc_b', 'D_A')):
    state = networks[theirs].state_dict()
    kernel = state['model.0.weight'].numpy().transpose(2, 3, 1, 0)
    like = {'conv_0': {'kernel': jax.ShapeDtypeStruct(kernel.shape, 'float32')}}
    saved = checkpoint.read_params(kept.find(imported), (ours,), like)
    np.testing.assert_array_equal(saved['conv_0']['kernel'], kernel)


def test_its_config_has_every_field_and_is_the_recipe():
  settings = imported_config.read_flags(
    **_FLAGS | {'intensity_b': 'percentile', 'image_size': 256}
  )._replace(domains=('T1w', 'T2w'))
  made = imported_config.make(
    settings,
    generator=default.resnet().to_dict(),
    discriminator={},
    channels=1,
  )
  assert made == t1t2_resnet.get_config().to_dict()


def test_it_says_what_it_knows_and_no_more(imported, capsys):
  meta = restore.read_meta(kept.find(imported))
  assert meta.learnt_from() == ['imported']
  assert sorted(meta.imported) == ['disc_a', 'disc_b', 'gen_ab', 'gen_ba']
  assert meta.config['data']['train_a'] == stored_config.UNKNOWN
  own = json.loads((imported / 'config.json').read_text())
  assert own['facts']['imported'] == meta.imported
  listing.list_checkpoints(str(imported))
  assert '\n0 ' in capsys.readouterr().out
  report.report(str(imported))
  assert 'Imported from the files' in (imported / 'MODEL_CARD.md').read_text()


def test_units_are_by_convention():
  typical = imported_config.typical_intensities
  linear = typical('percentile', (0.0, 1.0)).scaling
  units = np.array([-0.98, 0.95])
  np.testing.assert_allclose(
    intensity.from_unit(units, linear), [0, 1000], atol=1e-3
  )
  slopes = np.diff(linear.intensities) / np.diff(linear.units)
  np.testing.assert_allclose(slopes, slopes[0])
  assert (linear.background, linear.bright) == (0.0, pytest.approx(1000))
  window = typical('window', (-1000.0, 1000.0)).scaling
  assert window.intensities == (-1000.0, 1000.0)
  assert typical('minmax', (0.0, 1.0)).scaling.bright == 1000


def test_it_is_evaluated_without_what_is_not_known(
  imported, scan_folder, tmp_path, capsys
):
  workdir = shutil.copytree(imported, tmp_path / 'run')
  found = evaluate.evaluate(
    workdir,
    source_a=str(scan_folder / 'carl' / 'T1.nii.gz'),
    source_b=str(scan_folder / 'carl' / 'T2.nii.gz'),
  )
  assert set(found['ab']['references']) == {'untranslated', 'oracle'}
  assert 'whom an imported model was trained on' in capsys.readouterr().out
  evaluate.evaluate(
    workdir,
    source_a=str(scan_folder / 'anna' / 'T1.nii.gz'),
    source_b=str(scan_folder / 'carl' / 'T2.nii.gz'),
  )
  told = capsys.readouterr().out
  assert 'cycle error' in told and 'hist. distance' not in told


def test_what_is_packed_of_it_translates(imported, tmp_path):
  target = tmp_path / 'model.zip'
  pack.pack(str(imported), target=str(target))
  images = np.zeros((1, 32, 32, 1), np.float32)
  for direction, own in restore.load_translators(kept.find(imported)).items():
    packed = restore.load_translators(target, [direction])[direction]
    np.testing.assert_array_equal(packed.generate(images), own.generate(images))
  assert b'trained by another program and imported' in target.read_bytes()


def test_what_is_exported_of_it_is_what_was_imported(
  imported, networks, tmp_path
):
  """But for the biases that a normalisation cancels, which become zeros."""
  inert = r'model\.(1|4|7|10\.conv_block\.[15]|11|14)\.bias'
  for direction, theirs in (('ab', 'G_A'), ('ba', 'G_B')):
    target = tmp_path / f'{direction}.pth'
    given = dict(direction=direction, target=str(target))
    export.export(str(imported), format='torch', **given)
    state = torch.load(target, weights_only=True)
    network = torch_reference.resnet(1, 2, 1)
    network.load_state_dict(state, strict=True)
    for name, own in networks[theirs].state_dict().items():
      expected = 0 * own if re.fullmatch(inert, name) else own
      torch.testing.assert_close(state[name], expected, rtol=0, atol=0)
  told = json.loads((tmp_path / 'ab.pth.json').read_text())
  assert '--ngf 2 --norm instance' in told['options']
  assert json.loads(told['source_intensity'])['known'] is False


def test_one_generator_has_the_direction_of_its_name(alone, tmp_path):
  (translator,) = restore.load_translators(kept.find(alone), ['ba']).values()
  assert translator.domains == ('CT', 'T1w')
  report.report(str(alone))
  card = (alone / 'MODEL_CARD.md').read_text()
  assert '# Model card: CT to T1w\n' in card and 'not known.' in card
  assert 'lsgan' not in card and 'gen_ba; generators resnet' in card
  with pytest.raises(errors.UserError, match='what is scored are both'):
    evaluate.evaluate(alone, source_a='a.nii', source_b='b.nii')
  target = tmp_path / 'model.zip'
  pack.pack(str(alone), target=str(target))
  assert b'CT to T1w: what translates' in target.read_bytes()
  for place in (kept.find(alone), target):
    with pytest.raises(
      errors.UserError, match=r'one generator, .*CT to T1w \(ba\): .* for ab'
    ):
      restore.load_translators(place, ['ab'])


def begin(config):
  schedule = build.schedule(config, steps_per_epoch=1)
  state = devices.create_replicated(
    build.create_state(config, build.networks(config), schedule)
  )
  return state, predecessor.begin(config, state)


def test_a_training_starts_from_it_with_its_discriminators(
  config, imported, tmp_path
):
  generator = build.networks(config)['generator']
  predecessor.check(config, tmp_path / 'new', generator)
  fresh, (state, started) = begin(config)
  assert started['discriminators'] and started['learnt_from'] == ['imported']
  for name in ('gen_ab', 'gen_ba', 'disc_a', 'disc_b'):
    params = getattr(fresh, name).params
    saved = checkpoint.read_params(kept.find(imported), (name,), params)
    chex.assert_trees_all_equal(
      jax.device_get(getattr(state, name).params), saved
    )


def test_what_is_missing_begins_anew(config, alone, capsys):
  config.start_from = str(alone)
  fresh, (state, started) = begin(config)
  assert not started['discriminators']
  chex.assert_trees_all_equal(state.gen_ab.params, fresh.gen_ab.params)
  told = capsys.readouterr().out
  assert 'discriminators begin anew' in told
  assert 'the generator T1w to CT begins anew' in told


def test_other_values_are_refused_with_the_fields_to_set(config, tmp_path):
  config.generator.blocks = 9
  generator = build.networks(config)['generator']
  with pytest.raises(errors.UserError, match=r'blocks \(1 there, 9 now\)'):
    predecessor.check(config, tmp_path / 'new', generator)


def test_nothing_is_trained_in_it(config, imported):
  config.start_from = ''
  with pytest.raises(
    errors.UserError, match='imported model, .* --config.start_from='
  ):
    checks.check_workdir(config, imported)


@pytest.fixture(scope='module')
def folded(tmp_path_factory):
  """Of a U-Net with batch normalisation, all networks in one file."""
  torch.manual_seed(0)
  source = tmp_path_factory.mktemp('batch') / 'all.pt'
  states = {
    'G_A2B': torch_reference.unet(3, 2, 5, 'batch').state_dict(),
    'G_B2A': torch_reference.unet(3, 2, 5, 'batch').state_dict(),
    'D_A': torch_reference.discriminator(3, 2, 2, 'batch').state_dict(),
    'D_B': torch_reference.discriminator(3, 2, 2, 'batch').state_dict(),
  }
  torch.save(states, source)
  workdir = source.parent / 'run'
  importing.import_networks(str(workdir), source=str(source), **_FLAGS)
  return workdir


def test_batch_normalisation_translates_and_is_not_trained(folded, tmp_path):
  meta = restore.read_meta(kept.find(folded))
  assert sorted(meta.imported) == ['gen_ab', 'gen_ba']
  assert meta.config['generator']['norm'] == 'folded'
  assert meta.config['channels'] == 3
  config = ml_collections.ConfigDict(meta.config)
  config.start_from = str(folded)
  generator = build.networks(config)['generator']
  with pytest.raises(errors.UserError, match='batch-norm generators'):
    predecessor.check(config, tmp_path / 'new', generator)


def test_safetensors_need_no_torch(networks, monkeypatch, tmp_path):
  for name in ('G_A', 'G_B'):
    state = networks[name].state_dict()
    safetensors.save_file(
      {key: x.numpy() for key, x in state.items()},
      tmp_path / f'200_net_{name}.safetensors',
    )
  monkeypatch.setitem(sys.modules, 'torch', None)
  workdir = tmp_path / 'run'
  importing.import_networks(str(workdir), source=str(tmp_path), **_FLAGS)
  assert len(restore.load_translators(kept.find(workdir))) == 2


@pytest.mark.parametrize(
  'flags,message',
  [
    ({'domains': ['T1w']}, '--domains=T1w: it must be two names, such as T1w,'),
    ({'spacing': 0.0}, '--spacing=0.0: it must be greater than 0'),
    ({'image_size': 0}, '--image_size=0: it must be from 1'),
    ({'image_size': 30}, '--image_size=30: 30 x 30 does not divide'),
    ({'planes': ['oblique']}, '--planes=oblique: it must be such as axial,cor'),
    ({'intensity_a': 'window'}, '--intensity_a=window: it must be one of perc'),
    ({'intensity_b': 'window:2,1'}, '--intensity_b=window:2,1: it must be'),
    ({'intensity_b': 'window:a,b'}, '--intensity_b=window:a,b: it must be'),
    ({'intensity_b': 'minmax:0,1'}, '--intensity_b=minmax:0,1: it must be'),
    ({'intensity_a': 'median'}, '--intensity_a=median: it must be one of'),
  ],
)
def test_a_wrong_flag_is_refused_and_nothing_written(
  flags, message, folder, tmp_path
):
  workdir = tmp_path / 'run'
  with pytest.raises(errors.UserError, match=message):
    importing.import_networks(
      str(workdir), source=str(folder), **_FLAGS | flags
    )
  assert not list(tmp_path.iterdir())


def spoil(folder, **states):
  """A copy of a folder with other states in it."""
  for name, network in states.items():
    torch.save(network.state_dict(), folder / f'latest_net_{name}.pth')


@pytest.mark.parametrize(
  'states,message',
  [
    (
      dict(G_B=torch_reference.resnet(1, 2, 2)),
      r'different networks \(depth 1',
    ),
    (dict(G_A=torch_reference.unet(1, 2, 5)), r'different networks \(kind '),
    (dict(G_A=torch_reference.discriminator(1, 2, 2)), 'is a discriminator;'),
    (dict(D_A=torch.nn.Linear(2, 2)), 'D_A.pth is a network that is not read'),
  ],
)
def test_what_does_not_fit_is_refused(states, message, folder, tmp_path):
  source = shutil.copytree(folder, tmp_path / 'source')
  spoil(source, **states)
  with pytest.raises(errors.UserError, match=message) as caught:
    importing.import_networks(
      str(tmp_path / 'run'), source=str(source), **_FLAGS
    )
  assert '\n' not in str(caught.value)
  assert [path.name for path in tmp_path.iterdir()] == ['source']


@pytest.mark.parametrize(
  'states,why',
  [
    (
      dict(D_A=torch_reference.discriminator(1, 2, 3)),
      'there are not two of a kind',
    ),
    (
      dict.fromkeys(('D_A', 'D_B'), torch_reference.discriminator(2, 2, 2)),
      'they judge images of 2 channels, not of 1',
    ),
  ],
)
def test_discriminators_that_are_of_no_use_are_left_out(
  states, why, folder, tmp_path, capsys
):
  source = shutil.copytree(folder, tmp_path / 'source')
  spoil(source, **states)
  workdir = tmp_path / 'run'
  importing.import_networks(str(workdir), source=str(source), **_FLAGS)
  assert f'discriminators are left out: {why}' in capsys.readouterr().out
  assert sorted(restore.read_meta(kept.find(workdir)).imported) == [
    *('gen_ab', 'gen_ba'),
  ]


def test_slices_may_have_lain_along_other_planes(folder, tmp_path):
  planes = ['coronal', 'sagittal']
  workdir = str(tmp_path / 'run')
  importing.import_networks(
    workdir, source=str(folder), **_FLAGS | {'image_size': 2048}, planes=planes
  )
  (translator,) = restore.load_translators(kept.find(workdir), ['ab']).values()
  assert translator.settings[0].planes == tuple(planes)


def test_a_folder_that_is_not_empty_is_left_alone(folder, tmp_path):
  given = _FLAGS | {'source': str(folder), 'planes': None}
  (tmp_path / 'empty').mkdir()
  imported_config.check_flags(given | {'workdir': str(tmp_path / 'empty')})
  inode = (tmp_path / 'empty').stat().st_ino
  importing.import_networks(str(tmp_path / 'empty'), **given)
  assert (tmp_path / 'empty').stat().st_ino == inode  # perhaps a mount point
  (tmp_path / 'file').touch()
  for name, message in (('empty', 'is not empty'), ('file', 'is a file')):
    with pytest.raises(errors.UserError, match=message):
      imported_config.check_flags(given | {'workdir': str(tmp_path / name)})


class _Command:
  def __init__(self, marker):
    self._marker = marker

  def __reduce__(self):
    return os.system, (f'touch {self._marker}',)


def test_by_command_line(folder, environment, make_head, save_nifti, tmp_path):
  def launch(*args):
    return subprocess.run(
      [sys.executable, 'launch.py', *args],
      cwd=_ROOT,
      # With PyTorch, which reads what is imported.
      env=environment(XDG_CACHE_HOME=str(tmp_path / 'cache'), PYTHONPATH=''),
      capture_output=True,
      text=True,
      check=False,
    )

  workdir = tmp_path / 'run'
  flags = (
    *('--mode=import', '--domains=T1w,CT', '--spacing=1.0'),
    *('--intensity_a=percentile', '--intensity_b=window:-1000,1000'),
    '--image_size=32',
  )
  result = launch(*flags, f'--source={folder}', f'--workdir={workdir}')
  assert result.returncode == 0, result.stderr
  assert 'resnet of 1 blocks and 2 features' in result.stdout
  assert 'not for diagnosis' in result.stdout

  source = save_nifti(tmp_path / 'T1.nii.gz', make_head())
  target = tmp_path / 'CT.nii.gz'
  result = launch(
    *('--mode=translate', f'--workdir={workdir}', '--direction=ab'),
    *(f'--source={source}', f'--target={target}'),
  )
  assert result.returncode == 0, result.stderr
  assert nib.load(target).shape == nib.load(source).shape
  told = json.loads((tmp_path / 'CT.json').read_text())
  assert told['intensities']['air_to_bright'] == [-1000, 1000]

  marker = tmp_path / 'it was run'
  bad = tmp_path / 'bad.pth'
  torch.save(_Command(marker), bad)
  result = launch(*flags, f'--source={bad}', f'--workdir={tmp_path / "new"}')
  assert result.returncode == 2
  (line,) = result.stderr.splitlines()
  assert f'launch.py: {bad} holds more than weights' in line
  assert not marker.exists() and not (tmp_path / 'new').exists()
