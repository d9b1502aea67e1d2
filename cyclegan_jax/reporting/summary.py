"""What a run is: told at its start, and kept in its folder."""

import importlib.metadata
import pathlib
import platform
import subprocess

import jax
import ml_collections

from cyclegan_jax import console
from cyclegan_jax import version
from cyclegan_jax.reporting import description

_PACKAGES = ('jax', 'flax', 'optax', 'orbax-checkpoint', 'grain', 'numpy')


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
    f'cyclegan_jax {version.VERSION}: {a} (a) to {b} (b) and back; '
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
  crop = config.crop_size
  console.say(
    f'  devices    {devices}, batch {config.batch_size}, '
    f'{config.image_size} x {config.image_size} pixels'
    + (f', crops of {crop} x {crop}' if crop else '')
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
    'cyclegan_jax': version.VERSION,
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
    'started': description.say_time(),
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


def count_parameters(network) -> int:
  """Numbers that a network has learnt."""
  return sum(leaf.size for leaf in jax.tree.leaves(network.params))


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
