"""What is kept is found again where nothing has changed, and nowhere else."""

import os

import jax
import pytest

from cyclegan_jax.runtime import host
from cyclegan_jax.runtime import shelf as shelf_lib


@pytest.fixture
def shelf(tmp_path):
  return shelf_lib.Shelf(tmp_path / 'shelf', made_by='these')


@pytest.fixture
def package(tmp_path):
  """A package of one module, imported long after it was written."""
  package = tmp_path / 'package'
  package.mkdir()
  (package / 'module.py').write_text('one = 1\n')
  return package, package.stat().st_ctime + 60


def refuse():
  raise AssertionError('made again')


def stored(shelf):
  (path,) = shelf.folder.iterdir()
  return path


def test_what_was_made_is_found(shelf):
  made_of = {'levels': (2, 3), 'rate': 0.1}
  assert shelf_lib.recall(shelf, 'step', made_of, lambda: b'made') == b'made'
  assert shelf_lib.recall(shelf, 'step', made_of, refuse) == b'made'


@pytest.mark.parametrize(
  'changed',
  [{'made_of': 2}, {'name': 'room'}, {'made_by': 'others'}],
)
def test_what_is_made_of_something_else_is_made(shelf, changed):
  known = {'name': 'step', 'made_of': 1, 'made_by': 'these'}
  for make, told in (
    (lambda: b'old', known),
    (lambda: b'new', known | changed),
  ):
    here = shelf._replace(made_by=told['made_by'])
    found = shelf_lib.recall(here, told['name'], told['made_of'], make)
    assert found == make()


@pytest.mark.parametrize(
  'damage',
  [
    lambda content: b'',
    lambda content: content[:20],
    lambda content: content[:-1],
    lambda content: content[:-1] + b'?',
    lambda content: b'?' + content[1:],
  ],
)
def test_what_is_damaged_is_made_again(shelf, damage):
  shelf_lib.recall(shelf, 'step', 1, lambda: b'made')
  path = stored(shelf)
  path.write_bytes(damage(path.read_bytes()))
  assert shelf_lib.recall(shelf, 'step', 1, lambda: b'anew') == b'anew'
  assert shelf_lib.recall(shelf, 'step', 1, refuse) == b'anew'


def test_what_lies_under_anothers_name_is_made_again(shelf):
  shelf_lib.recall(shelf, 'step', 1, lambda: b'one')
  one = stored(shelf)
  shelf_lib.recall(shelf, 'step', 2, lambda: b'two')
  (two,) = set(shelf.folder.iterdir()) - {one}
  two.write_bytes(one.read_bytes())
  assert shelf_lib.recall(shelf, 'step', 2, lambda: b'two') == b'two'


def test_a_folder_that_cannot_be_written_costs_time_alone(shelf):
  shelf.folder.write_text('a file')
  assert shelf_lib.recall(shelf, 'step', 1, lambda: b'made') == b'made'


def test_without_a_shelf_nothing_is_kept(tmp_path):
  assert shelf_lib.recall(None, 'step', 1, lambda: b'made') == b'made'
  assert not list(tmp_path.iterdir())


def test_every_letter_of_the_package_counts(package):
  folder, started = package
  before = shelf_lib.read_sources(folder, started)
  assert before and before == shelf_lib.read_sources(folder, started)
  (folder / 'module.py').write_text('one = 2\n')
  assert shelf_lib.read_sources(folder, started) not in (before, '')


def test_a_package_that_has_changed_since_it_was_imported_is_not_known(package):
  """Also where its file claims to be old, as those out of an archive do."""
  folder, _ = package
  os.utime(folder / 'module.py', (0, 0))
  started = (folder / 'module.py').stat().st_ctime
  assert not shelf_lib.read_sources(folder, started)


@pytest.mark.parametrize(
  'change',
  [
    lambda patch: patch.setenv('XLA_FLAGS', '--xla_cpu_use_mkl_dnn=false'),
    lambda patch: patch.setattr(shelf_lib.metadata, 'version', lambda _: '9.9'),
    lambda patch: patch.setattr(host, 'processor', lambda: 'another'),
    lambda patch: patch.setattr(
      jax, 'devices', lambda: jax.local_devices()[:1]
    ),
    lambda patch: patch.setattr(type(jax.config), 'values', {'one': 1}),
    lambda patch: patch.setattr(shelf_lib, 'read_sources', lambda *_: 'other'),
  ],
  ids=['flags', 'versions', 'processor', 'devices', 'settings', 'sources'],
)
def test_libraries_and_machine_count(tmp_path, monkeypatch, change):
  with monkeypatch.context() as patch:
    patch.setattr(shelf_lib, 'read_sources', lambda *_: 'these')
    before = shelf_lib.open_shelf(tmp_path)
    assert before == shelf_lib.open_shelf(tmp_path)
    change(patch)
    assert shelf_lib.open_shelf(tmp_path).made_by != before.made_by


def test_unknown_sources_keep_nothing(tmp_path, monkeypatch):
  monkeypatch.setattr(shelf_lib, 'read_sources', lambda *_: '')
  assert shelf_lib.open_shelf(tmp_path) is None
