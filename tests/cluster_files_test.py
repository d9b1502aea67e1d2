"""What lies in cluster/: scripts run with the scheduler's programs replaced."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import yaml

_ROOT = pathlib.Path(__file__).parent.parent
_CLUSTER = _ROOT / 'cluster'
_PARSE = """
import sys
from cyclegan_jax import cli
from absl import flags
from cyclegan_jax import command_line, rules, checks
rest = command_line.parse(['launch.py', *sys.argv[1:]], cli.MODES)
assert rest == ['launch.py'], rest
if flags.FLAGS['config'].value is not None:
  config = flags.FLAGS['config'].value
  rules.check_values(checks.flatten(config.to_dict()))
  print(config.distributed, config.batch_size)
"""


def parse(arguments):
  """The flags as `launch.py` reads them; what it says of the config."""
  result = subprocess.run(
    [sys.executable, '-c', _PARSE, *arguments],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  return result.stdout.split()


@pytest.fixture
def run_script(tmp_path):
  """Runs a script where every program it calls notes its arguments."""

  def run(name, *arguments, status=0, **variables):
    tools = tmp_path / 'tools'
    tools.mkdir(exist_ok=True)
    for tool in ('srun', 'scontrol', 'gcloud'):
      code = status if tool == 'srun' else 0
      (tools / tool).write_text(
        f'#!/bin/sh\nexec >> {tmp_path}/called\n'
        f'for word in {tool} "$@"; do printf "%s\\0" "$word"; done\n'
        f'printf "\\n"\nexit {code}\n'
      )
      (tools / tool).chmod(0o755)
    called = tmp_path / 'called'
    called.unlink(missing_ok=True)
    result = subprocess.run(
      ['bash', _CLUSTER / name, *arguments],
      cwd=tmp_path,
      env={'PATH': f'{tools}:{os.environ["PATH"]}', 'HOME': '/nowhere'}
      | variables,
      capture_output=True,
      text=True,
      check=False,
    )
    lines = called.read_text().split('\0\n') if called.exists() else []
    return result, [line.split('\0') for line in lines if line]

  return run


def options(name):
  """The lines for sbatch: option to value."""
  text = (_CLUSTER / name).read_text()
  return dict(re.findall(r'^#SBATCH --([\w-]+)(?:=(.*))?$', text, re.M))


@pytest.mark.parametrize(
  'path', sorted(_CLUSTER.glob('*.sh')), ids=lambda p: p.name
)
def test_scripts_parse(path):
  assert os.access(path, os.X_OK)
  subprocess.run(['bash', '-n', path], check=True)


def test_slurm_trains_with_flags_that_exist(run_script):
  result, called = run_script('slurm.sh', '--config.seed=3', SLURM_JOB_ID='7')
  assert result.returncode == 0
  ((srun, kill, python, script, *arguments),) = called  # and no requeue
  assert (srun, kill) == ('srun', '--kill-on-bad-exit=1')
  assert (python, script) == ('.venv/bin/python', 'launch.py')
  assert '--config.seed=3' in arguments
  distributed, batch_size = parse(arguments)
  assert distributed == 'auto'
  asked = options('slurm.sh')
  devices = int(asked['nodes']) * int(asked['ntasks-per-node'])
  assert int(batch_size) % devices == 0
  assert asked['gres'] == f'gpu:{asked["ntasks-per-node"]}'
  assert asked['signal'].startswith('TERM@') and 'requeue' in asked


@pytest.mark.parametrize(
  'status,restarts,again',
  [(1, '0', True), (134, '3', True), (2, '0', False), (1, '20', False)],
)
def test_slurm_starts_again_what_can_go_on(run_script, status, restarts, again):
  result, called = run_script(
    'slurm.sh', status=status, SLURM_JOB_ID='7', SLURM_RESTART_COUNT=restarts
  )
  assert result.returncode == status
  assert (['scontrol', 'requeue', '7'] in called) == again


def test_slurm_translates_a_share(run_script, tmp_path):
  python = tmp_path / '.venv' / 'bin' / 'python'
  python.parent.mkdir(parents=True)
  python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
  python.chmod(0o755)
  result, _ = run_script('slurm_translate.sh', SOURCE='/in', TARGET='/out')
  script, *arguments = result.stdout.splitlines()
  assert script == 'launch.py'
  parse(arguments)
  missing, _ = run_script('slurm_translate.sh', SOURCE='/in')
  assert missing.returncode != 0 and 'TARGET' in missing.stderr
  assert options('slurm_translate.sh')['array'] == '0-7'


def test_a_tpu_pod_trains_with_flags_that_exist(run_script):
  result, called = run_script(
    'tpu_pod.sh', '--config.seed=3', TPU='slice', ZONE='z'
  )
  assert result.returncode == 0, result.stderr
  (words,) = called
  assert words[:6] == ['gcloud', 'compute', 'tpus', 'tpu-vm', 'ssh', 'slice']
  assert {'--zone=z', '--worker=all'} <= set(words)
  command = words[-1].removeprefix('--command=')
  _, arguments = command.split('launch.py ', 1)
  assert parse(shlex.split(arguments))[0] == 'auto'


def test_kubernetes_names_the_pod_that_the_others_find():
  jobset = yaml.safe_load((_CLUSTER / 'jobset.yaml').read_text())
  name = jobset['metadata']['name']
  (job,) = jobset['spec']['replicatedJobs']
  spec = job['template']['spec']
  (container,) = spec['template']['spec']['containers']
  count = spec['completions']
  assert spec['completionMode'] == 'Indexed' and spec['parallelism'] == count
  assert spec['template']['spec']['restartPolicy'] == 'Never'
  assert jobset['spec']['failurePolicy']['maxRestarts'] > 0
  assert container['command'] == ['.venv/bin/python', 'launch.py']
  assert 'JOB_COMPLETION_INDEX' in [each['name'] for each in container['env']]
  distributed, batch_size = parse(
    word.replace('$(JOB_COMPLETION_INDEX)', str(count - 1))
    for word in container['args']
  )
  port = container['ports'][0]['containerPort']
  assert distributed == (
    f'{name}-{job["name"]}-0-0.{name}:{port},{count},{count - 1}'
  )
  gpus = container['resources']['limits']['nvidia.com/gpu']
  assert int(batch_size) % (count * gpus) == 0
  mounts = {each['name'] for each in container['volumeMounts']}
  assert mounts == {x['name'] for x in spec['template']['spec']['volumes']}
