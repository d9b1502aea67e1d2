"""What a run is: told at its start, and kept in its folder."""

import datetime
import importlib.metadata
import json
import pathlib
import platform
import subprocess

import jax
import ml_collections

import cyclegan_jax
from cyclegan_jax import console
from cyclegan_jax import files

_PACKAGES = ('jax', 'flax', 'optax', 'orbax-checkpoint', 'grain', 'numpy')
_BEGINNING = ('started', 'started_from', 'learnt_from')


def say_plan(
  config: ml_collections.ConfigDict,
  data,
  state,
  *,
  start: int,
  num_steps: int,
  steps_per_epoch: int,
  recipe_steps: int,
  devices: str,
  workdir: pathlib.Path,
):
  """Prints what will be trained, on what, for how long and where it goes.

  Args:
    config: of the run.
    data: what it learns from, `sources.Data`.
    state: of its networks.
    start: steps done before.
    num_steps: after which it ends.
    steps_per_epoch: of an epoch.
    recipe_steps: after which it would end if it were not cut short.
    devices: for people.
    workdir: where everything goes.
  """
  a, b = config.domains
  source = 'simulated heads, no real patients' if data.simulated else 'scans'
  console.say(
    f'cyclegan_jax {cyclegan_jax.__version__}: {a} (a) to {b} (b) and back; '
    f'{source}; outputs are synthetic, not for diagnosis'
  )
  for domain, name in zip('ab', config.domains, strict=True):
    slices = data.train[domain]
    console.say(
      f'  {name:<10} {len(slices)} slices of {len(slices.patients)} patients '
      f'(by file name); {slices.blank} blank, {slices.corrupt} unreadable left '
      'out'
    )
  pairs = len(data.pairs['a']) if data.pairs else 0
  console.say(f'  held out   {pairs} pairs of slices')
  console.say(
    f'  networks   2 {config.generator.network} of '
    f'{count_parameters(state.gen_ab):,} parameters, 2 discriminators of '
    f'{count_parameters(state.disc_a):,}'
  )
  console.say(
    f'  devices    {devices}, batch {config.batch_size}, '
    f'{config.image_size} x {config.image_size} pixels'
  )
  resumed = f', resuming after step {start:,}' if start else ''
  console.say(
    f'  steps      {num_steps:,}{resumed}; an epoch is {steps_per_epoch:,}, '
    f'the recipe {config.num_epochs} epochs, {recipe_steps:,}'
  )
  console.say(f'  files      {workdir}')


def describe(config: ml_collections.ConfigDict) -> dict:
  """The config, the versions and the git revision: what config.json holds."""
  versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
  versions |= {
    'cyclegan_jax': cyclegan_jax.__version__,
    'python': platform.python_version(),
  }
  return {
    'config': config.to_dict(),
    'versions': versions,
    'git_revision': _git_revision(),
  }


def describe_run(data, state, *, devices: str, **plan: int) -> dict:
  """What a page tells of a run besides its config: the facts in config.json.

  Args:
    data: what it learns from, `sources.Data`.
    state: of its networks.
    devices: for people.
    **plan: how many steps there will be.
  """
  held_out = data.pairs and {
    'patients': len(data.pairs['a'].patients),
    'slices': len(data.pairs['a']),
  }
  return {
    'started': say_time(),
    'devices': devices,
    'simulated': data.simulated,
    'domains': {
      domain: {
        'patients': len(slices.patients),
        'slices': len(slices),
        'blank': slices.blank,
        'corrupt': slices.corrupt,
      }
      for domain, slices in data.train.items()
    },
    'shared': len(data.train['a'].patients & data.train['b'].patients),
    'held_out': held_out,
    'parameters': {
      'generator': count_parameters(state.gen_ab),
      'discriminator': count_parameters(state.disc_a),
    },
    **plan,
  }


def write(
  workdir: pathlib.Path, description: dict, facts: dict, *, resumed: bool
):
  """Writes config.json.

  Args:
    workdir: of the run.
    description: from `describe`.
    facts: from `describe_run`.
    resumed: whether the run began earlier: when and from what stays, and how it
      ended if it has the same end now.
  """
  if resumed:
    old = _read(workdir).get('facts', {})
    if old.get('num_steps') != facts['num_steps']:
      old = {name: old[name] for name in _BEGINNING if name in old}
    facts = old | facts | {'started': old.get('started', facts['started'])}
  files.write_json(workdir / 'config.json', description | {'facts': facts})


def add_facts(workdir: pathlib.Path, **facts):
  """Adds to the facts of config.json what is known at the end."""
  description = _read(workdir)
  if not description:  # removed by its owner
    return
  facts = description.get('facts', {}) | facts
  files.write_json(workdir / 'config.json', description | {'facts': facts})


def is_concluded(workdir: pathlib.Path) -> bool:
  """Whether the facts say that a run has come to its end, pages and all."""
  told = 'finished' in _read(workdir).get('facts', {})
  return told and (workdir / 'report.html').exists()


def say_time() -> str:
  """Now, for people."""
  return f'{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC'


def count_parameters(network) -> int:
  """Numbers that a network has learnt."""
  return sum(leaf.size for leaf in jax.tree.leaves(network.params))


def _read(workdir):
  try:
    return json.loads((workdir / 'config.json').read_text())
  except (OSError, ValueError):  # removed by its owner: it may be
    return {}


def _git_revision() -> str | None:
  command = ['git', 'rev-parse', 'HEAD']
  folder = pathlib.Path(__file__).parent
  try:
    result = subprocess.run(
      command, cwd=folder, capture_output=True, text=True, check=True
    )
  except (OSError, subprocess.CalledProcessError):
    return None  # no git here, or an installed package
  return result.stdout.strip()
