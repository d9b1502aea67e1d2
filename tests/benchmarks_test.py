"""The benchmarks start: `python -m benchmarks.NAME`, as the docs tell."""

import ast
import importlib
import pathlib
import re
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parent.parent
_SOURCES = {
  path.stem: path.read_text() for path in (_ROOT / 'benchmarks').glob('*.py')
}
_NAMES = sorted(n for n, text in _SOURCES.items() if 'app.run(main)' in text)


@pytest.mark.parametrize('name', _NAMES)
def test_a_benchmark_tells_its_flags(name):
  result = subprocess.run(
    [sys.executable, '-m', f'benchmarks.{name}', '--help'],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert f'python -m benchmarks.{name}' in result.stdout, result.stderr


@pytest.mark.parametrize('name', sorted(_SOURCES))
def test_a_benchmark_uses_what_there_is(name):
  """Also inside functions, which only the processes that measure enter."""
  tree = ast.parse(_SOURCES[name])
  modules = {}
  for node in ast.walk(tree):
    module = getattr(node, 'module', None) or ''
    if module.split('.')[0] == 'cyclegan_jax':
      for each in node.names:
        found = importlib.import_module(f'{module}.{each.name}')
        modules[each.asname or each.name] = found
  for node in ast.walk(tree):
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
      module = modules.get(node.value.id)
      assert module is None or hasattr(module, node.attr), ast.unparse(node)
    if isinstance(node, ast.arg):
      assert node.arg not in modules, f'the argument {node.arg} is hidden'


def test_a_short_soak_finds_nothing(environment):
  """A kill, a damaged checkpoint, a second start; then as without them."""
  flags = ('--layouts=1', '--counts=flipped=1,double=1', '--steps=60')
  result = subprocess.run(
    [sys.executable, '-m', 'benchmarks.soak', *flags],
    cwd=_ROOT,
    env=environment(),
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stdout + result.stderr
  rows = dict(re.findall(r'^([a-z]+) +1 +(\d+)', result.stdout, re.MULTILINE))
  assert rows['flipped'] == rows['double'] == '1', result.stdout


def test_docs_name_benchmarks_that_exist():
  pages = [*_ROOT.glob('*.md'), *(_ROOT / 'docs').glob('*.md')]
  text = ''.join(page.read_text() for page in pages)
  named = set(re.findall(r'python -m benchmarks\.([a-z_]+)', text))
  assert named <= set(_NAMES)
  assert named
