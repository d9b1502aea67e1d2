"""A model that PyTorch's CycleGAN has trained, brought here to be used."""

from collections.abc import Mapping
from collections.abc import Sequence
import os
import pathlib
from typing import Any

import jax
import ml_collections
import numpy as np

from cyclegan_jax import build
from cyclegan_jax import checks
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import imported_config
from cyclegan_jax import meta as meta_lib
from cyclegan_jax import rules
from cyclegan_jax import source as source_lib
from cyclegan_jax import stored_config
from cyclegan_jax.interop import collection
from cyclegan_jax.reporting import description
from cyclegan_jax.reporting import summary
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import kept

_STEP = 0  # steps that were done here


def import_networks(
  workdir: str,
  *,
  source: str,
  domains: Sequence[str],
  spacing: float,
  intensity_a: str,
  intensity_b: str,
  image_size: int = 256,
  planes: Sequence[str] | None = None,
):
  """Writes a workdir that translates with networks of PyTorch's program.

  They are those of junyanz/pytorch-CycleGAN-and-pix2pix: its files
  `latest_net_G_A.pth` and so on, or others of the same layers. Its G_A makes b
  of a, and its D_A judges images of b; see `interop.names` for other families.
  One generator alone makes b of a, unless its name says the other direction.

  Everything is checked before anything is written. No program that a file may
  hold is run.

  Args:
    workdir: to be made; a folder that is there must be empty.
    source: a file, or a folder, of which the newest epoch with all generators
      is taken.
    domains: names of a and b.
    spacing: mm between the pixels that the networks were trained on.
    intensity_a: how intensities of a become [-1, 1]: one of `intensity.KINDS`,
      with its ends for 'window:LOW,HIGH'.
    intensity_b: likewise.
    image_size: pixels of a side that they were trained on.
    planes: along which the slices lay; None: axial.

  Raises:
    UserError: if it cannot be read, is of other networks, or the workdir is
      not empty.
  """
  settings = imported_config.read_flags(
    domains=domains,
    spacing=spacing,
    intensity_a=intensity_a,
    intensity_b=intensity_b,
    image_size=image_size,
    planes=planes,
  )
  home = pathlib.Path(workdir).resolve()
  imported_config.check_workdir(home)
  found = collection.collect(pathlib.Path(source))
  notes = list(collection.leave_out(found))
  config = _make_config(settings, found)
  try:
    modules = build.networks(config)
  except errors.UserError as error:
    told = str(error).removeprefix('image_size: ')
    raise errors.UserError(f'--image_size={image_size}: {told}') from None
  for name, network in found.items():
    if name in collection.GENERATORS:
      _try(modules['generator'], network, config.channels)
  _write(home, _describe(config, settings, found), found)
  _tell(workdir, config, found, notes)


def _make_config(settings, found) -> ml_collections.ConfigDict:
  kind = next(iter(found.values())).kind
  norm = 'folded' if kind.norm == 'batch' else 'instance'
  generator: dict[str, Any] = {'network': kind.kind, 'features': kind.features}
  if kind.kind == 'resnet':
    generator |= {
      'blocks': kind.depth,
      'dropout': 0.5 if kind.dropout else 0.0,
      'norm': norm,
      'contrast_map': False,
      'contrast_look': 'surroundings',
      'contrast_learns': False,
      'reach': 0.0,
    }
  else:  # whether it had dropout leaves no trace
    generator |= {'levels': kind.depth, 'dropout': 0.0, 'leak': 0.2}
    generator |= {'skip_leak': 0.0, 'affine': False, 'norm_innermost': False}
    generator |= {'norm': norm}
  judge = found['disc_a'].kind if 'disc_a' in found else None
  fields = imported_config.make(
    settings,
    generator=generator,
    discriminator=(
      {'features': judge.features, 'layers': judge.depth} if judge else {}
    ),
    channels=kind.channels,
  )
  # Scans, and not the simulated heads; which, nobody says.
  unknown = dict.fromkeys(('train_a', 'train_b'), stored_config.UNKNOWN)
  fields['data'] |= unknown
  rules.check_values(checks.flatten(fields))
  return ml_collections.ConfigDict(fields)


def _try(module, network, channels):
  """Makes an image of noise, which has to have numbers in it."""
  side = max(2**module.halvings, 16)
  shape = (1, side, side, channels)
  images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
  made = jax.jit(module.apply)({'params': network.params}, images)
  if made.shape != shape or not np.isfinite(made).all():
    raise errors.UserError(
      f'{network.place} makes images that are no numbers: take another epoch'
    )


def _describe(config, settings, found) -> meta_lib.Meta:
  told = summary.describe(config)
  return meta_lib.Meta(
    config=told['config'],
    versions=told['versions'],
    git_revision=told['git_revision'],
    step=_STEP,
    data={'a': 'imported', 'b': 'imported'},
    intensities={
      domain: imported_config.typical_intensities(
        settings.kinds[domain], settings.windows[domain]
      )
      for domain in 'ab'
    },
    patients={'salt': None, 'marks': []},
    imported={name: network.digest for name, network in found.items()},
  )


def _write(home: pathlib.Path, meta: meta_lib.Meta, found: Mapping):
  """Writes the workdir: all of it or nothing."""
  facts = {
    'imported': meta.imported,
    'simulated': False,
    'parameters': {
      'generator': _count(next(iter(found.values()))),
      **(
        {'discriminator': _count(found['disc_a'])} if 'disc_a' in found else {}
      ),
    },
  }
  files.sweep(home)  # of what was killed
  with files.partial_folder(home) as made:
    place = made / kept.KINDS['newest'] / str(_STEP)
    place.parent.mkdir(parents=True)
    checkpoint.write(
      place.absolute(),
      {name: {'params': network.params} for name, network in found.items()},
      meta.to_json(),
    )
    description.write(
      made,
      {
        'config': meta.config,
        'versions': meta.versions,
        'git_revision': meta.git_revision,
      },
      facts,
      resumed=False,
    )
    # A run is there once its checkpoint is.
    for name in ('config.json', kept.KINDS['newest']):
      os.replace(made / name, home / name)


def _count(network):
  return sum(leaf.size for leaf in source_lib.flatten(network.params).values())


def _tell(workdir, config, found, notes):
  kind = next(iter(found.values())).kind
  a, b = config.domains
  ways = {'gen_ab': f'{a} to {b}', 'gen_ba': f'{b} to {a}'}
  depth = {'resnet': 'blocks', 'unet': 'levels'}[kind.kind]
  console.say(
    f'{workdir}: {kind.kind} of {kind.depth} {depth} and {kind.features} '
    f'features, {kind.norm} normalisation, {kind.channels} '
    f'channel{"s" * (kind.channels > 1)}; outputs are synthetic, not for '
    'diagnosis'
  )
  for name, network in found.items():
    told = ways.get(name) or f'judges {dict(disc_a=a, disc_b=b)[name]}'
    console.say(f'  {told:<12} {network.place}')
  for line in notes:
    console.say(line)
  if kind.norm == 'batch':
    console.say(
      'note: batch normalisation is folded into the layers: the networks '
      'translate, and cannot be trained on'
    )
