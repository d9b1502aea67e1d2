"""Imports only point down, and what belongs to one file stays there."""

import ast
import pathlib

import pytest

_ROOT = pathlib.Path(__file__).parent.parent
_PACKAGE = _ROOT / 'cyclegan_jax'

# From the bottom up: a module may import those on the lines above its own.
_LAYERS = [
  {'errors', 'files', 'array_types', 'forms', 'screen', 'command_line'},
  {
    'convolution',
    'normalisation',
    'host',
    'padding',
    'cache_folders',
    'workdir_lock',
  },
  {'mri.volume', 'mri.metrics', 'mri.references', 'mri.intensity'},
  {'mri.places', 'mri.head'},
  {'mri.contrast', 'pace', 'rules', 'rewind'},
  {'contrast_map'},
  {'models', 'losses', 'image_pool', 'optimizers', 'pictures'},
  {'mri.png', 'mri.nifti', 'mri.itk', 'mri.arrays', 'mri.dicom_stack'},
  {'mri.dicom', 'mri.dicom_writer', 'mri.framing', 'mri.cache'},
  {'mri.phantom', 'mri.registration'},
  {'mri.formats'},
  {'mri.scans', 'mri.canvas', 'mri.records'},
  {'mri.decode'},
  {'mri.slices', 'state'},
  {'steps'},
  {'parallel', 'checkpoint', 'logbook', 'data', 'checks', 'pairs', 'jobs'},
  {
    'monitor',
    'prior',
    'stored_config',
    'sources',
    'signals',
    'inference',
    'meta',
  },
  {'build', 'summary', 'subjects'},
  {'scores', 'run', 'restore'},
  {'tables'},
  {'train', 'translate', 'evaluate'},
]
_RANK = {name: rank for rank, names in enumerate(_LAYERS) for name in names}


def module_name(path):
  parts = path.relative_to(_PACKAGE).with_suffix('').parts
  return '.'.join(parts)


def imports(path):
  """Dotted names of everything a file imports, also inside functions."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{path}: relative import'
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def sources(*folders):
  return sorted(path for folder in folders for path in folder.rglob('*.py'))


def roots(path):
  return {name.split('.')[0] for name in imports(path)}


_MODULES = [path for path in sources(_PACKAGE) if path.name != '__init__.py']


@pytest.mark.parametrize('path', _MODULES, ids=module_name)
def test_imports_point_down(path):
  name = module_name(path)
  assert name in _RANK, f'{name} has no layer: add it to _LAYERS'
  for imported in imports(path):
    if imported.startswith('cyclegan_jax.'):
      lower = imported.removeprefix('cyclegan_jax.')
      assert _RANK[lower] < _RANK[name], f'{name} must not import {lower}'


def test_mri_knows_nothing_of_jax():
  for path in sources(_PACKAGE / 'mri'):
    assert not roots(path) & {'jax', 'flax', 'ml_collections', 'optax'}, path


def test_configs_stop_at_the_border():
  allowed = {
    _PACKAGE / f'{name}.py'
    for name in ('build', 'run', 'stored_config', 'summary', 'train')
  }
  for path in sources(_PACKAGE):
    assert path in allowed or 'ml_collections' not in roots(path), path


def test_recipes_import_nothing_but_the_defaults():
  for path in sources(_ROOT / 'configs'):
    assert set(imports(path)) <= {'ml_collections', 'configs.default'}, path


@pytest.mark.parametrize(
  'word,owner', [('pmap', 'parallel'), ('orbax', 'checkpoint')]
)
def test_one_file_owns(word, owner):
  """In code; strings that name a choice of the user's are data."""
  for path in _MODULES:
    names = {
      getattr(node, 'attr', getattr(node, 'id', None))
      for node in ast.walk(ast.parse(path.read_text()))
    }
    used = word in names | roots(path)
    assert used == (module_name(path) == owner), path


def test_files_are_short():
  for path in sources(_PACKAGE, _ROOT / 'configs'):
    assert len(path.read_text().splitlines()) <= 300, path
