"""Exported generators: what other programs get computes what ours does."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import pytest

from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import export
from cyclegan_jax import pack
from cyclegan_jax import restore
from cyclegan_jax.interop import formats
from cyclegan_jax.interop import verification
from cyclegan_jax.runtime import kept

_ROOT = pathlib.Path(__file__).parents[2]
# Each knows nothing of this project.
_STABLEHLO = """\
import sys
import jax
import numpy as np
network = jax.export.deserialize(bytearray(open(sys.argv[1], 'rb').read()))
images = np.load(sys.argv[2])
np.save(sys.argv[3], network.call(images))
assert 'cyclegan_jax' not in sys.modules
"""
_ONNX = """\
import sys
import numpy as np
import onnxruntime
network = onnxruntime.InferenceSession(sys.argv[1])
images = np.load(sys.argv[2]).transpose(0, 3, 1, 2)
(translated,) = network.run(None, {'images': images})
np.save(sys.argv[3], translated.transpose(0, 2, 3, 1))
assert 'cyclegan_jax' not in sys.modules
"""


def run(*command, cwd, environment):
  return subprocess.run(
    [sys.executable, *map(str, command)],
    cwd=cwd,
    env=environment(),
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.parametrize(
  'name,script', [('stablehlo', _STABLEHLO), ('onnx', _ONNX)]
)
def test_a_command_writes_what_other_programs_use(
  trained, tmp_path, environment, name, script
):
  target = tmp_path / f'model.{name}'
  flags = dict(mode='export', workdir=trained, format=name, direction='ab')
  done = run(
    _ROOT / 'launch.py',
    *(f'--{flag}={value}' for flag, value in flags.items()),
    f'--target={target}',
    cwd=tmp_path,
    environment=environment,
  )
  assert done.returncode == 0, done.stderr
  assert 'T1w to T2w, step 4' in done.stdout and 'differs' in done.stdout
  assert {path.name for path in tmp_path.iterdir()} == {
    target.name,
    f'{target.name}.json',
  }
  images = np.random.default_rng(0).uniform(-1, 1, (2, 40, 64, 1))
  np.save(tmp_path / 'in.npy', images.astype(np.float32))
  (tmp_path / 'use.py').write_text(script)
  places = (target, tmp_path / 'in.npy', tmp_path / 'out.npy')
  done = run('use.py', *places, cwd=tmp_path, environment=environment)
  assert done.returncode == 0, done.stderr
  ours = restore.load_translators(kept.find(trained))['ab'].generate
  expected = ours(np.load(tmp_path / 'in.npy'))
  found = np.load(tmp_path / 'out.npy')
  np.testing.assert_allclose(found, expected, atol=1e-5)
  assert np.ptp(found) > 1e-3


def test_metadata_say_what_it_takes_and_what_it_is(trained, tmp_path):
  target = tmp_path / 'back.onnx'
  export.export(str(trained), format='onnx', direction='ba', target=str(target))
  told = json.loads((tmp_path / 'back.onnx.json').read_text())
  assert told.pop('format') == 'onnx'
  model = onnx.load(target)
  assert {prop.key: prop.value for prop in model.metadata_props} == told
  assert told['source_contrast'] == 'T2w' and told['target_contrast'] == 'T1w'
  assert told['notice'].endswith('Not for diagnosis.')
  assert (told['checkpoint'], told['size_multiple']) == ('4', '8')
  assert (told['run'], told['network']) == ('run', 'UNet')
  assert told['spacing_mm'] == '1.0'
  meta = restore.read_meta(kept.find(trained))
  for side, domain in (('source', 'b'), ('target', 'a')):
    scaling = json.loads(told[f'{side}_intensity'])
    assert scaling['kind'] == 'percentile'
    knots = meta.intensities[domain].scaling.intensities
    assert tuple(scaling['intensities']) == tuple(knots)
  assert '[B, C, H, W] in [-1, 1]' in told['input']


def test_a_packed_model_gives_the_same_file(trained, tmp_path):
  packed = tmp_path / 'model.zip'
  pack.pack(str(trained), target=str(packed))
  made = []
  for number, source in enumerate((trained, packed)):
    target = tmp_path / f'{number}.onnx'
    export.export(
      str(source), format='onnx', direction='ab', target=str(target)
    )
    made.append(target.read_bytes())
  assert made[0] == made[1]


@pytest.mark.parametrize('name', ['stablehlo', 'onnx'])
@pytest.mark.parametrize('difference', [0.1, np.nan, np.inf])
def test_what_computes_something_else_is_not_written(
  trained, tmp_path, monkeypatch, name, difference
):
  known = formats.FORMATS[name]
  target = tmp_path / f'model{known.suffixes[0]}'
  target.write_bytes(b'before')
  monkeypatch.setattr(verification, 'measure_difference', lambda *_: difference)
  with pytest.raises(errors.Unfaithful, match=f'{target} is not written: as'):
    export.export(str(trained), format=name, direction='ab', target=str(target))
  assert [path.name for path in tmp_path.iterdir()] == [target.name]
  assert target.read_bytes() == b'before'


def test_what_a_format_has_no_room_for_is_refused(trained, tmp_path):
  """A U-Net of so few levels is none of PyTorch's program."""
  target = str(tmp_path / 'model.safetensors')
  with pytest.raises(errors.UserError, match='has levels=3, which PyTorch'):
    export.export(
      str(trained), format='safetensors', direction='ab', target=target
    )
  assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(trained, tmp_path, monkeypatch):
  def fill(path, content):
    path.write_bytes(content[:100])
    raise OSError(28, 'No space left on device', str(path))

  monkeypatch.setattr(onnx, 'save', lambda model, path: fill(path, b'x' * 200))
  target = tmp_path / 'model.onnx'
  with pytest.raises(OSError, match='No space left on device') as told:
    export.export(
      str(trained), format='onnx', direction='ab', target=str(target)
    )
  assert told.value.filename == str(target)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  'name,target,message',
  [
    ('onnx', 'model.pt', 'a file of --format=onnx ends in .onnx'),
    ('stablehlo', 'model', 'a file of --format=stablehlo ends in .stablehlo'),
    ('torch', 'model.onnx', 'a file of --format=torch ends in .pth or .pt'),
  ],
)
def test_suffixes_that_do_not_fit_are_refused(name, target, message):
  with pytest.raises(errors.UserError, match=f'--target={target}: {message}'):
    formats.check(name, target)


def test_what_is_not_installed_is_named(monkeypatch):
  monkeypatch.setattr(formats.importlib.util, 'find_spec', lambda name: None)
  formats.check('stablehlo', 'model.stablehlo')
  with pytest.raises(errors.UserError, match='pip install onnx onnxruntime'):
    formats.check('onnx', 'model.onnx')
  with pytest.raises(errors.UserError, match='--format=torch needs .* torch'):
    formats.check('torch', 'model.pth')
  formats.check('safetensors', 'model.safetensors')


def test_a_file_that_exists_stays(tmp_path):
  target = tmp_path / 'model.onnx'
  target.touch()
  with pytest.raises(errors.UserError, match='--overwrite replaces it'):
    checks.check_new_file(target, overwrite=False)
  checks.check_new_file(target, overwrite=True)
