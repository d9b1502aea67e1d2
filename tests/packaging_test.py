"""What pip is told: every dependency once as a range, once as a pin.

And pre-commit: the same ruff.
"""

import pathlib
import re
import tomllib

from packaging import requirements
from packaging import specifiers
from packaging import utils
import pytest

_ROOT = pathlib.Path(__file__).parent.parent
_PROJECT = tomllib.loads((_ROOT / 'pyproject.toml').read_text())['project']


def read_ranges():
  """Specifiers of pyproject.toml by canonical name."""
  each = map(requirements.Requirement, _PROJECT['dependencies'])
  return {utils.canonicalize_name(r.name): r.specifier for r in each}


def read_pins(python):
  """(name, version) of requirements.txt for a Python such as '3.12'."""
  pins = []
  for line in (_ROOT / 'requirements.txt').read_text().splitlines():
    requirement = requirements.Requirement(line)
    marker = requirement.marker
    if marker is None or marker.evaluate({'python_version': python}):
      (pin,) = requirement.specifier
      assert pin.operator == '==', line
      pins.append((utils.canonicalize_name(requirement.name), pin.version))
  return pins


@pytest.mark.parametrize('python', ['3.11', '3.12', '3.13'])
def test_pins_are_the_dependencies_and_lie_in_their_ranges(python):
  assert python in specifiers.SpecifierSet(_PROJECT['requires-python'])
  ranges, pins = read_ranges(), read_pins(python)
  assert sorted(name for name, _ in pins) == sorted(ranges)
  for name, version in pins:
    assert version in ranges[name], (name, version)


def test_pre_commit_runs_the_ruff_of_the_tests():
  hooks = (_ROOT / '.pre-commit-config.yaml').read_text()
  pins = (_ROOT / 'requirements-dev.txt').read_text()
  (rev,) = re.findall(r'ruff-pre-commit\n\s+rev: v([\d.]+)', hooks)
  assert f'ruff=={rev}\n' in pins
