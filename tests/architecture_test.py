"""What holds the house together: arrows, borders, sizes."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parent.parent
_PACKAGE = _ROOT / 'cyclegan_jax'
_MODULES = sorted(_PACKAGE.rglob('*.py'))
# Who may be handed a config; everybody else gets values.
_BORDER = (
  *(
    'build',
    'checks',
    'compilation',
    'evaluate',
    'inputs',
    'maps',
    'predecessor',
    'restore',
  ),
  *('export', 'importing', 'pack', 'run', 'source', 'stored_config', 'survey'),
)


def name_of(path):
  return '.'.join(path.relative_to(_PACKAGE).with_suffix('').parts)


def parse(path):
  return list(ast.walk(ast.parse(path.read_text())))


def imports(path):
  """Dotted names of everything a file imports, also inside functions."""
  for node in parse(path):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{path}: relative import'
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def test_rooms_import_one_way():
  """The contracts of pyproject.toml."""
  tool = pathlib.Path(sys.executable).with_name('lint-imports')
  result = subprocess.run(
    [tool, '--no-cache'], cwd=_ROOT, capture_output=True, text=True, check=False
  )
  assert result.returncode == 0, result.stdout


@pytest.mark.parametrize('path', _MODULES, ids=name_of)
def test_configs_are_handed_to_nobody_behind_the_border(path):
  if name_of(path) in (*_BORDER, 'train', 'reporting.summary', 'meta'):
    return
  names = {
    getattr(node, 'arg', getattr(node, 'id', None)) for node in parse(path)
  }
  assert 'config' not in names


def test_recipes_import_nothing_but_the_defaults():
  for path in (_ROOT / 'configs').glob('*.py'):
    assert set(imports(path)) <= {'ml_collections', 'configs.default'}, path


@pytest.mark.parametrize(
  'word,owners',
  [
    ('pmap', ['runtime.devices']),
    ('orbax', ['runtime.checkpoint', 'runtime.processes']),
  ],
)
def test_one_file_owns(word, owners):
  """In code; strings that name a choice of the user's are data."""
  for path in _MODULES:
    names = {
      getattr(node, 'attr', getattr(node, 'id', None)) for node in parse(path)
    }
    roots = {name.split('.')[0] for name in imports(path)}
    assert (word in names | roots) == (name_of(path) in owners), path


def test_files_and_functions_are_short():
  for path in [*_MODULES, *(_ROOT / 'configs').glob('*.py')]:
    assert len(path.read_text().splitlines()) <= 300, path
    for node in parse(path) if path in _MODULES else ():
      if isinstance(node, ast.FunctionDef):
        assert node.end_lineno - node.lineno < 80, f'{path}: {node.name}'


def test_pages_name_files_that_exist():
  for page in [*_ROOT.glob('*.md'), *(_ROOT / 'docs').glob('*.md')]:
    text = page.read_text()
    for name in re.findall(r'`((?:cyclegan_jax|configs|tests)/[\w/]*)`', text):
      assert (_ROOT / name).is_dir(), f'{page}: {name}'
    for name in re.findall(
      r'(?:cyclegan_jax|configs|benchmarks|tests)/[\w/]+\.py', text
    ):
      assert (_ROOT / name).is_file() or 'VERB' in name, f'{page}: {name}'
