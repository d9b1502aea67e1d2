"""The documentation is true: its commands parse, and, marked docs, run."""

import ast
import copy
import os
import pathlib
import re
import shutil
import subprocess
import sys

from absl import flags
import docs_commands
from ml_collections import config_flags
import nibabel as nib
import numpy as np
import pytest
from safetensors import numpy as safetensors

from configs import t1t2_best
from cyclegan_jax import checks
from cyclegan_jax import cli
from cyclegan_jax import command_line
from cyclegan_jax.interop import layout
from cyclegan_jax.mri import scans as scans_lib
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.runtime import kept

# How config_flags loads a recipe.
pytestmark = pytest.mark.filterwarnings(
  'ignore:the load_module:DeprecationWarning'
)
_COMMANDS, _OTHERS = docs_commands.find()
# Each once, whatever pages it is on.
_DISTINCT = {command.words: command for command in _COMMANDS}
_CODE = list(docs_commands.find_code())


@pytest.fixture(scope='session')
def scans(tmp_path_factory):
  """What the placeholders for scans stand for: small smooth heads."""
  root = tmp_path_factory.mktemp('docs_scans')
  for number, person in enumerate(('anna', 'bert', 'carl')):
    grid = np.meshgrid(*[np.linspace(-1.2, 1.2, n) for n in (18, 20, 6)])
    inside = sum(axis**2 for axis in grid) < 1
    rng = np.random.default_rng(number)
    head = (inside * rng.uniform(500, 900, inside.shape)).astype(np.float32)
    test = 'test_' if person == 'carl' else ''
    for domain, voxels in (('a', head), ('b', inside * (1400 - head))):
      name = f'T{"ab".index(domain) + 1}'
      for place in (
        root / f'{test}{domain}' / f'{person}.nii.gz',
        root / 'people' / person / f'{name}.nii.gz',
        root / 'bids' / f'sub-{person}' / 'anat' / f'x_{name}w.nii.gz',
      ):
        place.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(voxels, np.diag([10, 10, 10, 1])), place)
  _write_networks(root / 'checkpoints' / 'mri')
  (scan,) = scans_lib.find_scans(root / 'a' / 'anna.nii.gz')
  anna = dispatch.read_scan(scan)
  dispatch.write_scan(
    root / 'dicom' / 'anna',
    anna.voxels,
    anna,
    volume_lib.Provenance('T1w', 'T1w', {}),
  )
  return root


def _write_networks(folder):
  """Generators as PyTorch's program leaves them."""
  folder.mkdir(parents=True)
  rng = np.random.default_rng(0)
  network = layout.Description('resnet', channels=1, features=2, depth=6)
  for name in ('G_A', 'G_B'):
    safetensors.save_file(
      {
        key: rng.normal(0, 0.02, shape).astype(np.float32)
        for key, shape in layout.list_shapes(network).items()
      },
      folder / f'latest_net_{name}.safetensors',
    )


@pytest.fixture
def parse(monkeypatch):
  """A command line to its flags, by themselves: (mode, values by name)."""

  def parse(words):
    argv = ['launch.py', *words]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
      'config', None, '', lock_config=True, flag_values=values, sys_argv=argv
    )
    names = {flag for mode in cli.MODES.values() for flag in mode.flags}
    for name in {'mode', *names} - {'config'}:
      values[name] = copy.deepcopy(flags.FLAGS[name])
    with monkeypatch.context() as patch:
      patch.setattr(command_line.flags, 'FLAGS', values)
      command_line.parse(argv, cli.MODES)
    mode = cli.MODES[values['mode'].value]
    return mode, {name: values[name].value for name in mode.flags}

  return parse


def test_there_are_commands():
  assert len(_DISTINCT) > 30
  assert {'README.md', 'ct.md', 'scaling.md'} <= {c.page for c in _COMMANDS}


@pytest.mark.parametrize('line', _OTHERS)
def test_what_is_not_run_is_known(line):
  _, _, text = line.partition(': ')
  assert text.startswith(tuple(docs_commands.OTHERS)), (
    f'{line}: neither a command for launch.py nor in docs_commands.OTHERS; '
    'a fence of something else needs a tag, such as text'
  )


@pytest.mark.parametrize(
  'command', _DISTINCT.values(), ids=lambda c: f'{c.page}: {c.text}'[:100]
)
def test_commands_are_accepted(command, parse, scans, tmp_path, capsys):
  """Flags and fields exist, and what a mode checks at once is met."""
  run = tmp_path / 'run'
  (run / kept.KINDS['newest'] / '4').mkdir(parents=True)
  (run / kept.KINDS['best'] / '4').mkdir(parents=True)
  new = tmp_path / 'new'
  new.mkdir()
  words = docs_commands.fill(
    command.words,
    scans=scans,
    run=run,
    imported=run,
    packed=run,
    planned=docs_commands.ROOT / 'configs' / 't1t2_best.py',
    new=new,
  )
  try:
    mode, given = parse(words)
  except SystemExit:
    pytest.fail(capsys.readouterr().err)
  if 'workdir' in given:
    given['workdir'] = given['workdir'] or str(new / 'run')
  mode.check(given)


def test_a_field_that_is_none_would_be_found(parse, capsys):
  with pytest.raises(SystemExit):
    parse(['--config=configs/smoke.py', '--config.data.spacin=2.0'])
  assert 'there is no such field' in capsys.readouterr().err


def test_a_placeholder_in_no_table_would_be_found():
  with pytest.raises(KeyError, match='NOBODY_DIR'):
    _fill_for_key(('--source=NOBODY_DIR',))


@pytest.mark.parametrize('page,code', _CODE)
def test_code_names_what_there_is(page, code):
  """Imports and what is called of them; the notebook is run with the site."""
  imported = {}
  for node in ast.walk(ast.parse(code)):
    # `models` is of the checkout of PyTorch's program.
    if isinstance(node, ast.ImportFrom) and node.module != 'models':
      for alias in node.names:
        whole = f'{node.module}.{alias.name}'
        imported[alias.name] = __import__(whole, fromlist=['_'])
  for node in ast.walk(ast.parse(code)):
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
      module = imported.get(node.value.id)
      assert module is None or hasattr(module, node.attr), (page, node.attr)


def test_fields_that_pages_name_are_fields():
  """In backticks, as `data.spacing` or with the flag before it."""
  sections = r'data|generator|discriminator|loss|optimizer|phantom'
  known = {'network', 'unet', 'resnet'}
  for recipe in ('default', 'quickstart'):
    module = __import__(f'configs.{recipe}', fromlist=['_'])
    known |= set(checks.flatten(module.get_config().to_dict()))
  for page in docs_commands.PAGES:
    for name in re.findall(
      rf'`(?:--config\.)?((?:{sections})\.\w+)[`=]', page.read_text()
    ):
      assert name in known, f'{page.name}: {name}'


# ---- what follows runs them; `-m docs` chooses it ---------------------------


def _shrink(config):
  """Overrides with which a training takes seconds."""
  tiny = {
    'batch_size': 1,  # another size is another program to compile
    'image_size': 32,
    'crop_size': 0,
    'data.spacing': 10.0,
    'max_steps': 2,
    'num_epochs': 2,
    'decay_epochs': 1,
    'generator.features': 2,
    'discriminator.features': 2,
    'discriminator.layers': 1,
    'phantom.people': 2,
    'phantom.test_people': 1,
    'phantom.slices': 2,
    'evaluate_every_steps': 2,
  }
  if config.generator.network == 'resnet':
    goes_on = config.start_from.endswith('imported')
    tiny['generator.blocks'] = 6 if goes_on else 1
  return [f'--config.{name}={value}' for name, value in tiny.items()]


@pytest.fixture(scope='session')
def start(environment, tmp_path_factory):
  """Runs a program in the checkout; the same cache for all."""
  root = tmp_path_factory.getbasetemp()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    root = root.parent  # what one worker has compiled the other need not
  cache = str(root / 'docs_cache')

  def start(*words, cwd=docs_commands.ROOT):
    result = subprocess.run(
      [sys.executable, *words],
      cwd=cwd,
      env=environment(
        XDG_CACHE_HOME=cache,
        JAX_COMPILATION_CACHE_DIR=f'{cache}/compiled',
        PYTHONPATH=str(docs_commands.ROOT),
      ),
      capture_output=True,
      text=True,
      check=False,
    )
    assert result.returncode == 0, f'{words}\n{result.stdout}{result.stderr}'
    return result.stdout

  return start


@pytest.fixture(scope='session')
def trained_here(start, scans, tmp_path_factory):
  """A run on the small heads, of two steps; beside it, packed."""
  run = tmp_path_factory.mktemp('docs_run') / 'run'
  start(
    *('launch.py', '--config=configs/t1t2_best.py', f'--workdir={run}'),
    *(f'--config.data.train_{d}={scans / d}' for d in 'ab'),
    *_shrink(t1t2_best.get_config()),
  )
  packed = run.with_name(docs_commands.PACKED)
  start('launch.py', '--mode=pack', f'--workdir={run}', f'--target={packed}')
  return run


@pytest.fixture(scope='session')
def planned_here(start, scans, tmp_path_factory):
  """A recipe for the small heads."""
  recipe = tmp_path_factory.mktemp('docs_planned') / docs_commands.PLANNED
  start(
    *('launch.py', '--mode=plan', f'--target={recipe}'),
    *(f'--source_{d}={scans / d}' for d in 'ab'),
  )
  return recipe


@pytest.fixture(scope='session')
def imported_here(start, scans, tmp_path_factory):
  """What --mode=import makes of the networks in `scans`."""
  run = tmp_path_factory.mktemp('docs_imported') / 'run'
  (command,) = {c for c in _COMMANDS if '--mode=import' in c.words}
  words = docs_commands.fill(
    command.words,
    scans=scans,
    run=run,
    imported=run,
    packed=run,
    planned=run,
    new=run,
  )
  start('launch.py', *words, f'--workdir={run}', '--image_size=32')
  return run


def _fill_for_key(words):
  return docs_commands.fill(
    words,
    scans=pathlib.Path('scans'),
    run=pathlib.Path('run'),
    imported=pathlib.Path('imported'),
    packed=pathlib.Path('packed'),
    planned=docs_commands.ROOT / 'configs' / 't1t2_best.py',
    new=pathlib.Path('new'),
  )


def _find_unlike():
  """Commands, once each whatever pages call their folders."""
  unlike = {}
  for command in _COMMANDS:
    try:
      key = tuple(sorted(_fill_for_key(command.words)))
    except KeyError:  # told by a test of its own
      continue
    unlike.setdefault(key, command)
  return list(unlike.values())


@pytest.mark.docs
@pytest.mark.parametrize(
  'command',
  [c for c in _find_unlike() if 'distributed=local' not in c.text],
  ids=lambda c: f'{c.page}: {c.text}'[:100],
)
def test_commands_run(
  command,
  parse,
  start,
  scans,
  trained_here,
  imported_here,
  planned_here,
  tmp_path,
):
  """All but those of several processes, which launch_several_test starts."""
  run, imported = tmp_path / 'run', tmp_path / 'imported'
  shutil.copytree(trained_here, run)
  shutil.copytree(imported_here, imported)
  new = tmp_path / 'new'
  (new / 'out').mkdir(parents=True)
  words = docs_commands.fill(
    command.words,
    scans=scans,
    run=run,
    imported=imported,
    packed=trained_here.with_name(docs_commands.PACKED),
    planned=planned_here,
    new=new,
  )
  for word in words:
    if word.startswith('--workdir='):
      for other in word.split(',')[1:]:
        shutil.copytree(run, other)
  _, given = parse(words)
  if 'config' in given:
    words += _shrink(given['config'])
    if not given['workdir']:
      words.append(f'--workdir={new / "run"}')
  assert start('launch.py', *words).strip()


@pytest.mark.docs
@pytest.mark.parametrize('page,code', _CODE)
def test_code_runs(
  page, code, start, scans, trained_here, imported_here, tmp_path
):
  for name in re.findall(r"'(model\.(?:onnx|stablehlo|pth))'", code):
    kind = name.partition('.')[2].replace('pth', 'torch')
    run = imported_here if kind == 'torch' else trained_here
    words = ['--mode=export', f'--workdir={run}', '--direction=ab']
    start(
      'launch.py', *words, f'--format={kind}', f'--target={tmp_path / name}'
    )
  if 'define_G' in code:
    _stand_in_for_models(tmp_path)
    theirs = "64, 'resnet_9blocks'"
    assert theirs in code
    code = code.replace(theirs, "2, 'resnet_6blocks'")
  for there, here in (
    ('runs/python', tmp_path / 'new'),
    ('runs/mine', trained_here),
    ('anna_T1.nii.gz', scans / 'a' / 'anna.nii.gz'),
  ):
    code = code.replace(f"'{there}'", repr(str(here)))
  start('-c', code, cwd=tmp_path)


def _stand_in_for_models(folder):
  """`models.networks` of PyTorch's program, as far as it makes a generator."""
  (folder / 'models').mkdir()
  (folder / 'models' / 'networks.py').write_text(
    f'import sys\nsys.path.append({str(pathlib.Path(__file__).parent)!r})\n'
    'import torch_reference\n'
    'def define_G(inputs, outputs, features, name, *, norm, use_dropout):\n'
    "  assert inputs == outputs and name == 'resnet_6blocks'\n"
    '  return torch_reference.resnet(inputs, features, 6, norm, use_dropout)\n'
  )
