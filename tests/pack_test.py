"""A model to hand on: it translates as its run does, and tells no more."""

import dataclasses
import getpass
import json
import pathlib
import platform
import re
import shutil
import zipfile

import numpy as np
import pytest
from safetensors import numpy as safetensors

from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import evaluate
from cyclegan_jax import pack
from cyclegan_jax import restore
from cyclegan_jax import translate
from cyclegan_jax.runtime import kept
from cyclegan_jax.runtime import packed


@pytest.fixture(scope='module')
def model(trained, tmp_path_factory):
  target = tmp_path_factory.mktemp('packed') / 'model.zip'
  pack.pack(str(trained), target=str(target))
  return target


@pytest.fixture
def copy(model, tmp_path):
  return shutil.copy(model, tmp_path / 'copy.zip')


@pytest.fixture(scope='module')
def images():
  return np.linspace(-1, 1, 32 * 32, dtype=np.float32).reshape(1, 32, 32, 1)


def rewrite(path, changes, compression=zipfile.ZIP_STORED):
  """Another zip of the same members, but for what changes by name."""
  with zipfile.ZipFile(path) as zf:
    members = {name: zf.read(name) for name in zf.namelist()} | changes
  with zipfile.ZipFile(path, 'w', compression) as zf:
    for name, content in members.items():
      zf.writestr(name, content)


def test_it_is_the_generators_of_the_run_to_the_bit(trained, model, images):
  own = restore.load_translators(kept.find(trained))
  handed = restore.load_translators(kept.find(model))
  assert list(own) == list(handed)
  for direction, translator in handed.items():
    np.testing.assert_array_equal(
      translator.generate(images), own[direction].generate(images)
    )
    assert translator.provenance() == own[direction].provenance()
    assert translator.intensities == own[direction].intensities
    assert translator.settings == own[direction].settings


def test_what_the_run_has_translated_it_leaves_and_makes_the_same(
  trained, model, make_head, save_nifti, tmp_path, capsys
):
  for name in ('one', 'two'):
    save_nifti(tmp_path / 'in' / f'{name}.nii', make_head())

  def run(workdir, target):
    source = str(tmp_path / 'in')
    translate.translate(
      str(workdir), direction='ba', source=source, target=str(target)
    )
    return {x.name: x.read_bytes() for x in target.iterdir()}

  made = run(trained, tmp_path / 'first')
  assert run(model, tmp_path / 'second') == made and len(made) == 4
  capsys.readouterr()
  assert run(model, tmp_path / 'first') == made
  told = capsys.readouterr().out
  assert '2 exist already' in told and 'another run' not in told


def test_it_holds_what_translates_and_nothing_else(model):
  with zipfile.ZipFile(model) as zf:
    assert zf.namelist() == [
      *('MODEL_CARD.md', 'NOTICE.txt'),
      *('gen_ab.safetensors', 'gen_ba.safetensors', 'meta.json'),
    ]
    arrays = safetensors.load(zf.read('gen_ab.safetensors'))
    notice = zf.read('NOTICE.txt').decode()
  meta = packed.read_meta(model)
  assert meta['sums'] is None and meta['patients']['marks']
  names = {f'gen_{way}/{each}' for way in ('ab', 'ba') for each in arrays}
  assert set(meta['digests']) == {*names, 'meta'}
  for words in ('not for diagnosis', 'Apache License 2.0', 'scans of people'):
    assert words in notice


def test_its_card_is_of_its_checkpoint(trained, tmp_path):
  run = shutil.copytree(trained, tmp_path / 'run')
  before = (run / 'MODEL_CARD.md').read_bytes()

  def read_card(step):
    target = tmp_path / f'{step}.zip'
    pack.pack(str(run), target=str(target))
    with zipfile.ZipFile(target) as zf:
      return zf.read('MODEL_CARD.md').decode()

  with pytest.MonkeyPatch.context() as patch:
    # As an earlier checkpoint, which nobody has scored, says of itself.
    opened = pack.source_lib.open_source
    patch.setattr(
      pack.source_lib,
      'open_source',
      lambda path: (found := opened(path))._replace(
        meta=dataclasses.replace(found.meta, step=3)
      ),
    )
    card = read_card(3)
  assert '- Step 3 of 4;' in card and 'have not been scored' in card
  assert '| the translation' not in card
  assert (run / 'MODEL_CARD.md').read_bytes() == before
  card = read_card(4)
  assert '- Step 4 of 4;' in card and '- Scored: checkpoint 4' in card


def test_it_does_not_tell_where_it_comes_from(
  trained, scan_folder, change_meta, tmp_path
):
  run = shutil.copytree(trained, tmp_path / 'run')

  def change(meta):
    meta['config']['compile_cache'] = '/home/jane/compiled'
    meta['config']['distributed'] = 'node17.example.org:1234,1,0'

  change_meta(kept.find(run), change)
  pack.pack(str(run), target=str(tmp_path / 'model.zip'))
  secrets = [scan_folder, tmp_path, pathlib.Path.home(), platform.node()]
  secrets += [getpass.getuser(), 'anna', 'bert', 'carl', 'jane', 'node17']
  words = '|'.join(re.escape(str(secret)) for secret in secrets)
  with zipfile.ZipFile(tmp_path / 'model.zip') as zf:
    for name in zf.namelist():
      content = zf.read(name)
      if name.endswith('.safetensors'):  # what is said of the numbers
        content = content[: 8 + int.from_bytes(content[:8], 'little')]
      found = re.search(rf'\b({words})\b'.encode(), name.encode() + content)
      assert not found, (name, found)


def test_the_same_model_has_the_same_bytes(trained, model, tmp_path):
  (tmp_path / 'run').symlink_to(trained)
  again = tmp_path / 'again.zip'
  pack.pack(str(tmp_path / 'run'), target=str(again))
  assert again.read_bytes() == model.read_bytes()


def test_a_card_comes_along(trained, tmp_path, capsys):
  run = shutil.copytree(trained, tmp_path / 'run')
  (run / 'MODEL_CARD.md').write_text('# Knows nobody')
  pack.pack(str(run), target=str(tmp_path / 'model.zip'))
  with zipfile.ZipFile(tmp_path / 'model.zip') as zf:
    assert zf.read('MODEL_CARD.md') == b'# Knows nobody'
  assert kept.find(tmp_path / 'model.zip', '4').name == 'model.zip'
  size = (tmp_path / 'model.zip').stat().st_size / 1e3
  assert f'{size:.3g} kB of the ' in capsys.readouterr().out


@pytest.mark.parametrize('share', [0.1, 0.3, 0.5, 0.7, 0.999])
def test_a_bit_that_has_changed_is_noticed(copy, share):
  """In the notice, in either generator, in what is said, in the directory."""
  content = bytearray(copy.read_bytes())
  content[int(share * len(content))] ^= 1
  copy.write_bytes(content)
  with pytest.raises(errors.UserError, match='copy.zip is no model .* damaged'):
    restore.load_translators(kept.find(copy))


@pytest.mark.parametrize('name', ['gen_ba.safetensors', 'meta.json'])
def test_numbers_that_somebody_has_changed_are_noticed(copy, name):
  """In a zip file that is whole."""
  rewrite(copy, {})
  assert len(restore.load_translators(kept.find(copy))) == 2
  with zipfile.ZipFile(copy) as zf:
    content = zf.read(name)
  if name == 'meta.json':
    changed = content.replace(b'"step": 4', b'"step": 5')
  else:
    changed = content[:-1] + bytes([content[-1] ^ 1])
  assert changed != content
  rewrite(copy, {name: changed})
  with pytest.raises(errors.UserError, match='is no model .* damaged'):
    restore.load_translators(kept.find(copy))


@pytest.mark.parametrize('kind', ['other', 'path', 'bomb', 'text', 'cut'])
def test_what_is_no_model_is_refused_in_one_line(copy, kind):
  if kind == 'other':
    with zipfile.ZipFile(copy, 'w') as zf:
      zf.writestr('holiday.jpg', b'')
  elif kind == 'path':
    rewrite(copy, {'../gen_ab.safetensors': b''})
  elif kind == 'bomb':
    rewrite(copy, {'NOTICE.txt': bytes(2**24)}, zipfile.ZIP_DEFLATED)
  elif kind == 'text':
    copy.write_text('no zip')
  else:
    copy.write_bytes(copy.read_bytes()[:-50])
  with pytest.raises(errors.UserError, match='copy.zip is no model of --mode'):
    checks.check_inference(str(copy), {})


def test_a_config_that_no_run_has_is_refused(copy):
  """A file comes from anywhere: nothing is made of such sizes."""
  with zipfile.ZipFile(copy) as zf:
    meta = json.loads(zf.read('meta.json'))
    arrays = {
      f'{way}': safetensors.load(zf.read(f'{way}.safetensors'))
      for way in ('gen_ab', 'gen_ba')
    }
  del meta['digests'], meta['format']
  meta['config']['image_size'] = 10**9
  packed.write(copy, arrays.items(), meta, notice='')
  with pytest.raises(errors.UserError, match='describes no model: .*size=1000'):
    restore.load_translators(kept.find(copy))


def test_what_is_evaluated_lies_beside_it(copy, slice_folders):
  report = evaluate.evaluate(
    copy,
    source_a=str(slice_folders / 'test_a'),
    source_b=str(slice_folders / 'test_b'),
  )
  written = json.loads(
    (copy.parent / 'copy.results/evaluation.json').read_text()
  )
  assert written['checkpoint'] == report['checkpoint'] == 4
  with pytest.raises(errors.UserError, match='config.json, .*--source_a=DIR'):
    evaluate.evaluate(copy)


@pytest.mark.parametrize(
  'target,message',
  [
    ('model', 'name a file that ends in .zip, such as model.zip'),
    ('nowhere/model.zip', 'there is no folder .*nowhere; make it first'),
    ('folder.zip', 'is a folder'),
    ('copy.zip', 'copy.zip exists; --overwrite replaces it'),
  ],
)
def test_targets_that_cannot_be_are_refused(
  trained, copy, tmp_path, target, message
):
  (tmp_path / 'folder.zip').mkdir()
  given = dict(target=str(tmp_path / target), overwrite=False)
  with pytest.raises(errors.UserError, match=f'--target=.*{message}'):
    checks.check_pack(str(trained), given | {'checkpoint': 'newest'})


def test_what_is_packed_is_neither_packed_nor_trained_in(copy, tmp_path):
  given = dict(target=str(tmp_path / 'x.zip'), overwrite=False)
  with pytest.raises(errors.UserError, match='copy.zip is packed already'):
    checks.check_pack(str(copy), given)
  with pytest.raises(errors.UserError, match='--config.start_from=.*copy.zip'):
    checks.check_workdir(None, copy)
  for which in ('3', 'best'):
    with pytest.raises(errors.UserError, match='one checkpoint .*of step 4'):
      checks.check_inference(str(copy), {'checkpoint': which})
