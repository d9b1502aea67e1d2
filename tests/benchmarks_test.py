"""The benchmarks start: `python -m benchmarks.NAME`, as the docs tell."""

import ast
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parent.parent
_NAMES = sorted(
  path.stem
  for path in (_ROOT / 'benchmarks').glob('*.py')
  if 'app.run(main)' in path.read_text()
)


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


def test_benchmarks_import_what_there_is():
  """Also inside functions, which only the processes that measure enter."""
  for path in (_ROOT / 'benchmarks').glob('*.py'):
    for node in ast.walk(ast.parse(path.read_text())):
      module = getattr(node, 'module', None) or ''
      if module.split('.')[0] in ('cyclegan_jax', 'benchmarks'):
        for alias in node.names:
          name = f'{module}.{alias.name}'
          assert importlib.util.find_spec(name), f'{path.name}: {name}'


def test_docs_name_benchmarks_that_exist():
  pages = [*_ROOT.glob('*.md'), *(_ROOT / 'docs').glob('*.md')]
  text = ''.join(page.read_text() for page in pages)
  named = set(re.findall(r'python -m benchmarks\.([a-z_]+)', text))
  assert named <= set(_NAMES)
  assert named
