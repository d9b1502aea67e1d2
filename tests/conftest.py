"""Four virtual devices, strict arrays, and programs compiled once, quickly."""

import functools
from importlib import metadata
import json
import os

# Before JAX starts its backend. Tests compile much and run little: without
# optimisation, and in one piece, a tiny network's step takes 6.7 s of a
# processor instead of 13; by the older of two code generators, which JAX 0.12
# has no more, 3.6 s.
_QUICK = (
  '--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1'
)
if metadata.version('jaxlib').startswith('0.10.'):
  _QUICK += ' --xla_cpu_use_fusion_emitters=false'
os.environ['XLA_FLAGS'] = f'--xla_force_host_platform_device_count=4 {_QUICK}'
os.environ['JAX_PLATFORMS'] = 'cpu'

# A scheduler that runs the tests is not to divide what they translate.
for _name in [n for n in os.environ if n.startswith(('SLURM_', 'OMPI_'))]:
  del os.environ[_name]

import jax
import jaxtyping
import nibabel as nib
import numpy as np
from PIL import Image
import pytest
from scipy import ndimage

# Before the package is imported: what signatures say of shapes is checked at
# every call.
jaxtyping.install_import_hook(
  [f'cyclegan_jax.{room}' for room in ('gan', 'networks', 'contrast')],
  'beartype.beartype',
)

from configs import smoke
from cyclegan_jax import restore
from cyclegan_jax import train
from cyclegan_jax.data import phantom
from cyclegan_jax.inference import translation
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import intensity
from cyclegan_jax.runtime import kept

jax.config.update('jax_numpy_rank_promotion', 'raise')


@pytest.fixture(scope='session', autouse=True)
def compilation_cache(tmp_path_factory):
  """Runs that compile the same program do it once, in whatever process."""
  root = tmp_path_factory.getbasetemp()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    root = root.parent
  folder = str(root / 'compiled')
  os.environ['JAX_COMPILATION_CACHE_DIR'] = folder
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
  jax.config.update('jax_compilation_cache_dir', folder)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


@pytest.fixture(scope='session', autouse=True)
def template():
  """What simulated heads are made from is read once for their size: 1.5 s."""
  with pytest.MonkeyPatch.context() as patch:
    read = functools.lru_cache(maxsize=2)(phantom.load_template)
    patch.setattr(phantom, 'load_template', read)
    yield


@pytest.fixture(scope='session')
def slice_folders(tmp_path_factory):
  """Folders of smooth random slices: train_a, train_b, and pairs to test on."""
  root = tmp_path_factory.mktemp('slices')
  rng = np.random.default_rng(0)
  counts = dict(train_a=7, train_b=5, test_a=2, test_b=2)
  for name, count in counts.items():
    person = {'train_a': 'anna', 'train_b': 'bert'}.get(name, 'carl')
    (root / name).mkdir()
    for i in range(count):
      coarse = Image.fromarray(rng.integers(30, 255, (4, 4), np.uint8))
      coarse.resize((32, 32), Image.BICUBIC).save(
        root / name / f'{person}{i // 2}_z{i:03d}.png'
      )
  return root


@pytest.fixture(scope='session')
def make_head():
  """Voxels of a smooth random head in air, float32 from 0 to about 1000."""

  def make(shape=(20, 24, 16), seed=0):
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    texture = 700 + 150 * texture / texture.std()
    grid = np.meshgrid(
      *(np.linspace(-1.2, 1.2, n) for n in shape), indexing='ij'
    )
    inside = sum(axis**2 for axis in grid) < 1
    return np.where(inside, texture, 0).clip(0).astype(np.float32)

  return make


@pytest.fixture(scope='session')
def draw_people():
  """Slices [N, 48, 48] of heads: tissues 1 to 4 in shells, 0 is air."""

  def draw(seed, count=40, size=48):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    people = []
    for _ in range(count):
      center = size / 2 + rng.uniform(-4, 4, 2)
      radii = rng.uniform(14, 18, 2)
      depth = 1 - np.hypot(
        (rows - center[0]) / radii[0], (columns - center[1]) / radii[1]
      )
      bounds = (0, *np.sort(rng.uniform((0.1, 0.4, 0.6), (0.3, 0.6, 0.9))))
      people.append(np.searchsorted(bounds, depth))
    return np.stack(people)

  return draw


@pytest.fixture(scope='session')
def save_nifti():
  """Writes a NIfTI file, 1 mm RAS unless told otherwise."""

  def save(path, voxels, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(
      nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path
    )
    return path

  return save


@pytest.fixture(scope='session')
def scan_folder(tmp_path_factory, make_head, save_nifti):
  """T1 and T2 of three people: anna and bert to train on, carl to test on."""
  root = tmp_path_factory.mktemp('scans')
  for number, person in enumerate(('anna', 'bert', 'carl')):
    head = make_head((22, 26, 12), seed=number)
    save_nifti(root / person / 'T1.nii.gz', head)
    save_nifti(root / person / 'T2.nii.gz', (head > 0) * (1200 - head))
  return root


@pytest.fixture(scope='session')
def trained(scan_folder, tmp_path_factory):
  """A workdir after four steps on volumes."""
  config = smoke.get_config()
  config.max_steps = 4
  config.batch_size = 4
  config.domains = ('T1w', 'T2w')
  config.data.cache = str(tmp_path_factory.mktemp('cache'))
  config.data.planes = ('axial', 'coronal')
  config.data.spacing = 1.0
  for domain, name in (('a', 'T1'), ('b', 'T2')):
    for role, people in (('train', '[ab]*'), ('test', 'carl')):
      pattern = scan_folder / people / f'{name}.nii.gz'
      config.data[f'{role}_{domain}'] = str(pattern)
  workdir = tmp_path_factory.mktemp('trained') / 'run'
  train.train(config, str(workdir))
  return workdir


@pytest.fixture(scope='session')
def change_meta():
  """Changes what a checkpoint says, as versions without digests wrote it."""

  def change(path, change):
    stored = path / 'meta' / 'metadata'
    content = json.loads(stored.read_text())
    del content['digests']
    change(content)
    stored.write_text(json.dumps(content))

  return change


@pytest.fixture
def use_identity(monkeypatch):
  """Whatever the workdir, its networks change nothing."""

  def use(scaling):
    settings = framing.SliceSettings(size=32)
    same = translation.Translator(
      generate=lambda images: images,
      direction='ab',
      domains=('T1w', 'T2w'),
      multiple=8,
      settings=(settings, settings),
      intensities=(intensity.Intensities(scaling, (0.0, 1.0)),) * 2,
      step=0,
      run='none',
      network='identity',
    )
    monkeypatch.setattr(restore, 'load_translators', lambda *_: {'ab': same})
    monkeypatch.setattr(kept, 'find', lambda workdir, kind: workdir)

  return use


@pytest.fixture(scope='session')
def environment(tmp_path_factory):
  """Environment variables of a subprocess with so many virtual devices.

  There is no PyTorch, as most users have none: where there is one, the writer
  for TensorBoard takes two seconds of every start to import it.
  """
  hidden = tmp_path_factory.mktemp('hidden')
  (hidden / 'torch.py').write_text('raise ImportError("no PyTorch here")')

  def make(devices=1, **changes):
    flags = f'--xla_force_host_platform_device_count={devices} {_QUICK}'
    hide = {'XLA_FLAGS': flags, 'PYTHONPATH': str(hidden)}
    return os.environ | hide | changes

  return make
