"""The command that pip installs: what launch.py does, under its own name."""

import importlib
import pathlib
import subprocess
import sys
import tomllib

import pytest

_ROOT = pathlib.Path(__file__).parent.parent
_NAME = 'cyclegan-jax'
# As the script that pip writes, where there is no checkout.
_SCRIPT = f"""\
import sys
sys.modules['configs'] = None
sys.argv[0] = '/somewhere/bin/{_NAME}'
from cyclegan_jax import __main__
__main__.run()
"""


@pytest.fixture
def start(environment, tmp_path):
  def start(*words, command=('-c', _SCRIPT)):
    return subprocess.run(
      [sys.executable, *command, *words],
      cwd=tmp_path,
      env=environment(PYTHONPATH=str(_ROOT)),
      capture_output=True,
      text=True,
      check=False,
    )

  return start


def test_pip_is_told_of_it():
  project = tomllib.loads((_ROOT / 'pyproject.toml').read_text())['project']
  module, name = project['scripts'][_NAME].split(':')
  assert callable(getattr(importlib.import_module(module), name))


def test_it_tells_its_flags(start):
  told = start('--help').stdout
  assert f'{_NAME} --mode=translate' in told
  assert '--workdir: Where the run is kept.' in told


@pytest.mark.parametrize(
  'command,words,message',
  [
    (
      ('-m', 'cyclegan_jax'),
      ('--mode=list', '--workdir=nowhere'),
      'nowhere holds no checkpoint',
    ),
    (
      ('-c', _SCRIPT),
      (f'--config={_ROOT}/configs/smoke.py',),
      'is of a checkout, and needs it',
    ),
  ],
)
def test_it_names_itself_where_it_refuses(start, command, words, message):
  done = start(*words, command=command)
  (line,) = done.stderr.splitlines()
  assert done.returncode == 2
  assert line.startswith(f'{_NAME}: ') and message in line


def test_it_does_what_is_asked(start, trained):
  done = start('--mode=list', f'--workdir={trained}')
  assert done.returncode == 0 and '\n4 ' in done.stdout
