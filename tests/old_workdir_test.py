"""A workdir of version 0.1.0: training goes on from it, and it translates.

On 32 pixels of simulated heads, by configs/quickstart.py of that version with
the fields below, on one device; of its best checkpoint what resuming asks it.
"""

import json
import pathlib
import shutil
import tarfile

import chex
import jax
import jax.numpy as jnp
import nibabel as nib
import numpy as np
from orbax import checkpoint as ocp
import pytest

from configs import quickstart
from cyclegan_jax import build
from cyclegan_jax import pack
from cyclegan_jax import restore
from cyclegan_jax import run as run_lib
from cyclegan_jax import train
from cyclegan_jax import translate
from cyclegan_jax.runtime import kept

pytestmark = pytest.mark.filterwarnings('ignore:Sharding info not provided')

_ARCHIVE = pathlib.Path(__file__).parent / 'data' / 'workdir_0_1_0.tar.xz'


@pytest.fixture(scope='module')
def archive(tmp_path_factory):
  root = tmp_path_factory.mktemp('archive')
  with tarfile.open(_ARCHIVE) as file:
    file.extractall(root, filter='data')
  return root


@pytest.fixture
def workdir(archive, tmp_path):
  return shutil.copytree(archive, tmp_path / 'run')


@pytest.fixture
def config(tmp_path_factory):
  config = quickstart.get_config()
  config.image_size = 32
  config.data.spacing = 8.0
  config.data.cache = str(tmp_path_factory.mktemp('cache'))
  config.generator.features = 2
  config.generator.blocks = 1
  config.generator.contrast_look = 'surroundings'  # all that there was
  config.generator.contrast_learns = True
  config.discriminator.features = 2
  config.discriminator.layers = 1
  config.phantom.people = 2
  config.phantom.test_people = 1
  config.phantom.slices = 2
  config.pool_size = 2
  config.keep_checkpoints = 1
  config.evaluate_every_steps = 4
  config.max_steps = 8
  config.batch_size = 4  # by then 1, of one device; epochs are of one step now
  return config


def read_tree(archive, name):
  """By Orbax alone."""
  with ocp.PyTreeCheckpointer() as checkpointer:
    return checkpointer.restore(archive / 'checkpoints' / '6' / name)


@pytest.fixture
def opened(monkeypatch):
  """The runs that are opened from now on: their states before any step."""
  states = []
  open_run = run_lib.open_run

  def note(*arguments):
    run = open_run(*arguments)
    states.append(jax.tree.map(np.array, run.state))  # copied: it is donated
    return run

  monkeypatch.setattr(run_lib, 'open_run', note)
  return states


@pytest.mark.portable
def test_training_goes_on_with_what_was_learnt(
  archive, workdir, config, opened, capsys
):
  after = train.train(config, workdir)
  (before,) = opened
  assert before.gen_ab.step == 6 and after.step == 8
  for name in ('gen_ab', 'gen_ba', 'disc_a', 'disc_b'):
    saved = read_tree(archive, name)
    chex.assert_trees_all_equal(getattr(before, name).params, saved['params'])
    assert getattr(before, name).step == saved['step'] == 6
  for name, params in before.averages.items():
    saved = read_tree(archive, f'average_{name}')
    chex.assert_trees_all_equal(params, saved['params'])
  pools = read_tree(archive, 'pools')
  for domain, pool in (('a', before.pool_a), ('b', before.pool_b)):
    np.testing.assert_array_equal(pool.images, pools[domain]['images'])
    assert pool.count == pools[domain]['count'] == 2

  told = capsys.readouterr().out
  for domain in 'ab':
    assert f'made slices of data.train_{domain} a little differently' in told
  lines = [
    json.loads(line)
    for line in (workdir / 'metrics.jsonl').read_text().splitlines()
  ]
  # Without the last lines of then, written only because the run ended.
  assert {line['step'] for line in lines} == {4, 7, 8}
  for line in lines:
    numbers = [value for value in line.values() if isinstance(value, float)]
    assert np.isfinite(numbers).all() and len(numbers) > 5
  assert kept.find(workdir).name == '8'
  # Distances of then were of what was taken for heads: they count no more.
  assert kept.find(workdir, 'best').name == '8'


def test_it_translates_by_its_averages_without_a_config(
  archive, workdir, config, make_head, save_nifti, tmp_path
):
  (workdir / 'config.json').unlink()
  source = save_nifti(tmp_path / 'T1.nii.gz', make_head((64, 72, 12)))
  target = tmp_path / 'T2.nii.gz'
  translate.translate(
    str(workdir), direction='ab', source=str(source), target=str(target)
  )
  fake = nib.load(target)
  assert fake.shape == (64, 72, 12) and np.ptp(fake.get_fdata()) > 0
  sidecar = json.loads((tmp_path / 'T2.json').read_text())
  assert sidecar['checkpoint'] == 6
  assert sidecar['direction'] == 'T1w to T2w (ab)'

  pack.pack(str(workdir), target=str(tmp_path / 'old.zip'))
  handed = restore.load_translators(tmp_path / 'old.zip')
  path = kept.find(workdir)
  translators = restore.load_translators(path)
  module = build.networks(config)['generator']
  images = jnp.linspace(-1, 1, 32 * 32).reshape(1, 32, 32, 1)
  for direction, translator in translators.items():
    averages, newest = (
      module.apply({'params': read_tree(archive, name)['params']}, images)
      for name in (f'average_gen_{direction}', f'gen_{direction}')
    )
    np.testing.assert_allclose(
      translator.generate(np.asarray(images)), averages, atol=1e-5
    )
    assert np.abs(newest - averages).max() > 1e-4
    np.testing.assert_array_equal(
      handed[direction].generate(np.asarray(images)),
      translator.generate(np.asarray(images)),
    )
