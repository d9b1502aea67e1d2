"""The command line as its users see it: a subprocess."""

import importlib
import inspect
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from cyclegan_jax import cli
from cyclegan_jax.runtime import workdir_lock

_ROOT = pathlib.Path(__file__).parent.parent
_SMOKE = '--config=configs/smoke.py'
# Runs launch.py in a fork for every line of arguments: what it imports in front
# of its checks, most of what a start costs, is imported once.
_STARTER = """
import json, os, runpy, sys, tempfile
from ml_collections import config_flags
import cyclegan_jax.checks, cyclegan_jax.imported_config
import cyclegan_jax.inference.shares, cyclegan_jax.interop.formats
for line in sys.stdin:
  streams = [tempfile.TemporaryFile() for _ in range(2)]
  child = os.fork()
  if not child:
    for number, stream in enumerate(streams, 1):
      os.dup2(stream.fileno(), number)
    sys.argv = ['launch.py', *json.loads(line)]
    runpy.run_path('launch.py', run_name='__main__')
    sys.exit()
  status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
  said = []
  for stream in streams:
    stream.seek(0)
    said.append(stream.read().decode())
  print(json.dumps([status, *said]), flush=True)
"""


def command(*args):
  return [sys.executable, 'launch.py', *args]


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
  """Simulated heads are made once."""
  return str(tmp_path_factory.mktemp('cache'))


@pytest.fixture(scope='module')
def launch(environment, cache):
  def run(*args, devices=1, kept=True):
    variables = environment(devices, XDG_CACHE_HOME=cache)
    if not kept:  # the tests' own cache of compiled programs
      del variables['JAX_COMPILATION_CACHE_DIR']
    return subprocess.run(
      command(*args),
      cwd=_ROOT,
      env=variables,
      capture_output=True,
      text=True,
      check=False,
    )

  return run


@pytest.fixture(scope='module')
def check(environment, cache):
  """As `launch`, of what ends before JAX has started, or soon after."""
  with subprocess.Popen(
    [sys.executable, '-c', _STARTER],
    cwd=_ROOT,
    env=environment(XDG_CACHE_HOME=cache),
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  ) as starter:

    def run(*args):
      print(json.dumps(args), file=starter.stdin, flush=True)
      told = json.loads(starter.stdout.readline())
      return subprocess.CompletedProcess(args, *told)

    yield run


@pytest.fixture(scope='module')
def own(slice_folders):
  """To train sooner: slices of which no viewer is simulated, a level less."""
  folders = [
    f'--config.data.{name}={slice_folders / name}'
    for name in ('train_a', 'train_b', 'test_a', 'test_b')
  ]
  return [*folders, '--config.generator.levels=2']


@pytest.fixture(scope='module')
def finished(launch, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('finished') / 'run'
  return workdir, launch(_SMOKE, f'--workdir={workdir}')


@pytest.mark.portable
def test_one_line_trains_on_simulated_heads(finished):
  workdir, result = finished
  assert result.returncode == 0, result.stderr
  assert 'simulated heads, no real patients' in result.stdout
  assert 'not for diagnosis' in result.stdout
  assert '4 slices of 2 patients' in result.stdout
  assert 'held-out pairs' in result.stdout
  assert 'epoch 2 averages' in result.stdout
  assert '\ndone: 8 steps' in result.stdout
  last = result.stdout.splitlines()[-1]
  assert last == f'report: {workdir / "report.html"}'
  assert (workdir / 'report.html').exists()
  for name in ('config.json', 'metrics.jsonl', 'samples/step_0000008.png'):
    assert (workdir / name).stat().st_size
  assert (workdir / 'checkpoints' / '8').is_dir()


def test_the_same_line_again_has_nothing_left_to_do(finished, launch):
  workdir, _ = finished
  result = launch(_SMOKE, f'--workdir={workdir}')
  assert result.returncode == 0, result.stderr
  assert 'nothing left to do' in result.stdout


def test_a_workdir_that_is_trained_in_is_told_in_one_line(finished, launch):
  workdir, _ = finished
  with workdir_lock.hold(workdir):
    result = launch(_SMOKE, f'--workdir={workdir}')
  assert result.returncode == 2
  (line,) = result.stderr.splitlines()
  assert f'is being trained in by process {os.getpid()} on ' in line


def test_the_best_checkpoint_is_scored(finished, launch):
  workdir, _ = finished
  (best,) = (workdir / 'best').iterdir()
  args = ['--mode=evaluate', f'--workdir={workdir}', '--checkpoint=best']
  result = launch(*args)
  assert result.returncode == 0, result.stderr
  assert f'checkpoint {best.name} of {workdir}' in result.stdout
  report = json.loads((workdir / 'evaluation.json').read_text())
  assert report['checkpoint'] == int(best.name)


def test_another_recipe_does_not_resume_it(finished, launch):
  workdir, _ = finished
  result = launch(
    _SMOKE, f'--workdir={workdir}', '--config.generator.features=8'
  )
  assert result.returncode == 2
  assert 'generator.features (4 there, 8 now)' in result.stderr


def last_step(workdir):
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  return max(json.loads(line)['step'] for line in lines)


def test_a_stopped_run_resumes_with_the_same_command(
  launch, environment, cache, own, tmp_path
):
  """Ctrl-C saves where it is; kill -9 leaves the last whole checkpoint."""
  args = [_SMOKE, *own, f'--workdir={tmp_path}', '--config.num_epochs=500']

  def stop(number, after):
    """What was said to the end, and the step of the last checkpoint."""
    process = subprocess.Popen(
      command(*args),
      cwd=_ROOT,
      env=environment(XDG_CACHE_HOME=cache),
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    told = []
    for line in process.stdout:
      told.append(line)
      found = re.match(r'step (\d+)/', line)
      if found and int(found[1]) >= after:
        break
    process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == (1 if number == signal.SIGINT else -number)
    steps = [path.name for path in (tmp_path / 'checkpoints').iterdir()]
    saved = max(int(name) for name in steps if name.isdigit())
    return ''.join(told), stderr, saved

  _, stderr, interrupted = stop(signal.SIGINT, after=12)
  assert stderr.splitlines()[-1] == (
    f'launch.py: interrupted: step {interrupted} is saved, the same command '
    'resumes there'
  )
  told, _, killed = stop(signal.SIGKILL, after=interrupted + 6)
  assert f'resuming after step {interrupted:,}' in told
  assert killed >= interrupted
  result = launch(*args, f'--config.max_steps={killed + 4}')
  assert result.returncode == 0, result.stderr
  assert f'resuming after step {killed:,}' in result.stdout
  assert last_step(tmp_path) == killed + 4


def test_an_interrupt_before_the_first_line_is_silent(environment, tmp_path):
  """While Python imports: there is nobody yet who could tell it in a line."""
  package = tmp_path / 'absl'
  package.mkdir()
  (package / '__init__.py').write_text(
    'import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n'
  )
  result = subprocess.run(
    command(_SMOKE),
    cwd=_ROOT,
    env=environment(PYTHONPATH=str(tmp_path)),
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == -signal.SIGINT
  assert result.stdout == result.stderr == ''


def test_a_stop_while_compiling_is_heard(environment, cache, own, tmp_path):
  process = subprocess.Popen(
    command(_SMOKE, *own, f'--workdir={tmp_path}', '--config.num_epochs=500'),
    cwd=_ROOT,
    env=environment(XDG_CACHE_HOME=cache, JAX_ENABLE_COMPILATION_CACHE='false'),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  assert any(line.startswith('compiling') for line in process.stdout)
  process.send_signal(signal.SIGTERM)
  stdout, stderr = process.communicate()
  assert process.returncode == 1
  assert 'stopping' in stdout
  assert 'launch.py: interrupted' in stderr.splitlines()[-1]


@pytest.mark.parametrize('mode', cli.MODES)
def test_a_mode_is_a_function_that_takes_its_flags(mode):
  """The table names it: a mode may be called what no module can be."""
  module, function = cli.MODES[mode].entry.split(':')
  called = getattr(importlib.import_module(module), function)
  inspect.signature(called).bind(**dict.fromkeys(cli.MODES[mode].flags))


def test_help_shows_what_the_modes_do_and_need(check):
  shown = ' '.join(check('--help').stdout.split())
  for name, mode in cli.MODES.items():
    assert f'{name}: {mode.help}; needs --' in shown
  assert 'needs --workdir, --direction, --source, --target' in shown


@pytest.mark.parametrize(
  'args,message',
  [
    ([_SMOKE, '--config.batchsize=2'], 'Did you mean "batch_size"'),
    ([_SMOKE, '--config.generator.blocks=2'], 'blocks=2: there is no such'),
    ([_SMOKE, '--config.batchsize', '2'], 'Did you mean "batch_size"'),
    ([_SMOKE, '--config.rematt'], 'rematt: there is no such field. Did you'),
    ([_SMOKE, '--noconfig.rematt'], '--noconfig.rematt: there is no such'),
    ([_SMOKE, '--config.dat.train_a', 'x'], 'Did you mean "data" instead'),
    ([_SMOKE, '--config.seed=1', '--config.data.seed=2'],
     '--config.seed=1 or --config.data.seed=2: there is no such field'),
    ([_SMOKE, '--config.seed.x=3'], '--config.seed.x=3: there is no such'),
    (['--config=README.md'], '--config=README.md is no recipe: line '),
    (['--config=docs'], 'docs is a folder, and no recipe'),
    (['--config=docs/quickstart.png'], 'quickstart.png is no recipe: source '),
    (['--config', 'cyclegan_jax/errors.py'], 'it has no get_config'),
    ([_SMOKE, '--config.batch_size=two'], 'config.batch_size=two'),
    ([_SMOKE, '--mode=trian'], '--mode=trian: value should be one of <train|'),
    ([_SMOKE, '--wrkdir=x'], "'wrkdir'"),
    ([_SMOKE, 'translate'], "stray word 'translate'"),
    (['--config=configs/nowhere.py'], 'configs/nowhere.py'),
    ([], 'needs --config=..., such as configs/quickstart.py'),
    ([_SMOKE, '--direction=ab'], '--direction has no meaning with'),
    (['--mode=translate'], '--mode=translate needs --workdir=W'),
    (['--mode=translate', '--workdir=x'], 'needs --direction='),
    (['--mode=translate', '--workdir=x', '--direction=ab', '--source=x',
      '--target=y', '--shard=2/2'], '--shard=2/2: write I/N with I from 0 to'),
    ([_SMOKE, '--shard=0/2'], '--shard has no meaning with --mode=train'),
    (['--mode=plan', '--source_a=x', '--source_b=y', '--target=x.txt'],
     '--target=x.txt: a recipe is a file of Python'),
    (['--mode=plan', '--source_a=x', '--source_b=y', '--target=x.py',
      '--domains=T1w'], '--domains=T1w: it must be two names'),
    (['--mode=pack', '--workdir=x'], '--mode=pack needs --target=model.zip'),
    (['--mode=import', '--workdir=x', '--source=y'], 'needs --domains=T1w,T2w'),
    (['--mode=import', '--workdir=x', '--source=nowhere', '--domains=T1w,T2w',
      '--spacing=1', '--intensity_a=minmax', '--intensity_b=zscore'],
     '--source=nowhere is not there; name a file or a folder'),
    ([_SMOKE, '--spacing=1'], '--spacing has no meaning with --mode=train'),
    ([_SMOKE, '--config.generator.norm=folded'], 'cannot be trained on; train'),
    (['--mode=list', '--workdir=nowhere'], 'nowhere holds no checkpoint'),
    (['--mode=evaluate', '--workdir=nowhere'], 'nowhere holds no checkpoint'),
    (['--mode=evaluate', '--workdir=x', _SMOKE], '--config has no meaning'),
    ([_SMOKE, '--config.loss.kind=hinge'], 'loss.kind=hinge'),
    (['--config=configs/t1t2.py', '--config.generator.network=resnet'],
     'such as --config=configs/t1t2_resnet.py'),
    ([_SMOKE, '--config.generator.network=vae'], 'one of unet, resnet'),
    ([_SMOKE, '--config.image_size=30'], '30 x 30 does not divide by 2^3'),
    ([_SMOKE, '--config.image_size=8', '--config.generator.levels=2',
      '--config.discriminator.layers=3'], 'too small for a discriminator'),
  ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(check, args, message):
  result = check(*args)
  assert result.returncode == 2
  (line,) = result.stderr.splitlines()
  assert line.startswith('launch.py: ') and message in line
  assert not result.stdout


def test_a_mistake_in_a_recipe_is_told_with_its_line(check, tmp_path):
  recipe = tmp_path / 'mine.py'
  recipe.write_text(
    'from configs import default\n\n\ndef get_config():\n'
    '  config = default.get_config()\n  config.batchsize = 2\n'
    '  return config\n'
  )
  result = check(f'--config={recipe}')
  assert result.returncode == 2
  (line,) = result.stderr.splitlines()
  assert f'--config={recipe}, line 6: ' in line and '"batch_size"' in line


@pytest.mark.parametrize(
  'content,message',
  [
    (None, 'does not exist'),
    ([], 'is empty'),
    (['a.txt', 'b.txt'], 'none of its 2 files is NIfTI, DICOM'),
    (['a.png'], 'a.png is not a PNG, JPEG or TIFF image'),
  ],
)
def test_folders_without_slices_are_told_in_one_line(
  check, slice_folders, tmp_path, content, message
):
  folder = tmp_path / 'scans'
  if content is not None:
    folder.mkdir()
    for name in content:
      (folder / name).write_text('no image')
  result = check(
    _SMOKE,
    f'--config.data.train_a={folder}',
    f'--config.data.train_b={slice_folders / "train_b"}',
    f'--workdir={tmp_path / "run"}',
  )
  assert result.returncode == 2
  (line,) = result.stderr.splitlines()
  assert str(folder) in line and message in line
  assert not (tmp_path / 'run').exists()


def test_batch_3_does_not_divide_over_2_devices(launch, tmp_path):
  result = launch(
    _SMOKE, '--config.batch_size=3', f'--workdir={tmp_path}', devices=2
  )
  assert result.returncode == 2
  (line,) = result.stderr.splitlines()
  assert 'batch_size 3 does not divide over 2 devices' in line


@pytest.mark.portable
def test_two_devices_train(launch, own, tmp_path):
  result = launch(
    _SMOKE,
    *own,
    '--config.max_steps=2',
    '--config.batch_size=2',
    '--config.parallel=shard_map',
    f'--workdir={tmp_path}',
    devices=2,
  )
  assert result.returncode == 0, result.stderr
  assert '2 x cpu' in result.stdout


def test_programs_are_kept_for_the_next_start(launch, own, tmp_path):
  """As traced and as compiled; 'off' keeps none, and the step is the same."""
  losses = []

  def start(name, folder):
    result = launch(
      _SMOKE,
      *own,
      f'--workdir={tmp_path / name}',
      f'--config.compile_cache={folder}',
      '--config.max_steps=1',
      '--config.log_every_steps=1',
      kept=False,
    )
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / name / 'metrics.jsonl').read_text().splitlines()
    losses.append([json.loads(line).get('generator_ab') for line in lines])
    return {path.name for path in tmp_path.joinpath('compiled').rglob('*')}

  def program(name):
    return name.partition('-')[0]

  folder = tmp_path / 'compiled'
  kept = start('first', folder)
  assert len(kept) >= 2, 'the state and the step'
  (traced,) = folder.glob('traced/step-*')
  written = traced.stat().st_mtime_ns
  # What took 0.1 s to compile is kept: on a busy machine, now and then, also a
  # program that was quicker at the first start.
  programs = {program(name) for name in kept}
  again = start('second', folder)
  assert {name for name in again if program(name) in programs} == kept
  assert traced.stat().st_mtime_ns == written
  assert start('third', 'off') == again
  assert losses[0] == losses[1] == losses[2] and any(losses[0])


def test_who_reads_no_further_is_told_nothing():
  """As with `launch.py --help | head`."""
  with subprocess.Popen(
    [sys.executable, 'launch.py', '--help'],
    cwd=_ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
  ) as process:
    process.stdout.close()
    assert process.stderr.read() == b''
  assert process.returncode == 1
