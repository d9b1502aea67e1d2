"""A recipe for two folders of scans: looked at, decided in words, written."""

from collections.abc import Sequence
import pathlib
import pprint
import statistics
import textwrap

import jax
import numpy as np

from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import proposal
from cyclegan_jax.data import inventory as inventory_lib
from cyclegan_jax.data import slices as slices_lib
from cyclegan_jax.mri import channels
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import head
from cyclegan_jax.mri import inside
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.runtime import cache_folders
from cyclegan_jax.runtime import devices

_READ = 48  # slices of a folder, to see whether heads are whole
_HEAD = 190.0  # mm: about how long a head is
_SETTINGS = framing.SliceSettings(size=256)
_LEAST = 0.1  # of the largest slice of a head: others show next to nothing
_HEADER = '''"""{what}, planned for the scans below.

  python launch.py --config={path}

{why}

Any field of configs/default.py can be changed here, before the first step.
"""

from configs import default


def get_config():
  config = default.mapped()
'''


def plan(
  source_a: str,
  source_b: str,
  target: str,
  *,
  domains: Sequence[str] | None = None,
  overwrite: bool = False,
):
  """Looks at two folders of scans and writes a recipe for them.

  Args:
    source_a: scans of domain a to train on.
    source_b: of domain b.
    target: the recipe's file.
    domains: names of both; None: T1w and T2w.
    overwrite: whether `target` may be replaced, as has been checked.

  Raises:
    UserError: if there is nothing to train on.
  """
  del overwrite
  found = [
    _look(f'--source_{domain}', place)
    for domain, place in (('a', source_a), ('b', source_b))
  ]
  facts = _gather(found)
  made = proposal.propose(facts)
  names = tuple(domains or ('T1w', 'T2w'))
  fields = {
    'domains': names,
    'data.train_a': source_a,
    'data.train_b': source_b,
    **made.fields,
  }
  for line in made.reasons:
    console.say(line)
  path = pathlib.Path(target)
  text = _write(fields, made.reasons, path, ' to '.join(names))
  with files.replace_file(path) as partial:
    partial.write_text(text, encoding='utf-8')
  console.say(f'{path}: python launch.py --config={path}')


def _look(flag, place):
  inventory = inventory_lib.look(
    flag,
    place,
    _SETTINGS,
    cache=cache_folders.make('data.cache', '', 'slices'),
    min_foreground=0.0,
    slice_range=(0.0, 1.0),
    report=console.report_progress(f'reading {flag}'),
  )
  if inventory.problem:
    raise errors.UserError(f'{flag}={place}: {inventory.problem}')
  for entry in inventory.refused:
    console.say(f'warning: left out of what is planned: {entry.problem}')
  return inventory


def _gather(found) -> proposal.Facts:
  """Facts of the inventories of both domains, and of this machine."""
  first, second = found
  # Of each one scan, whose kind tells that of the others.
  opened = [
    dispatch.read_scan(inventory.usable[0].scans[0], index=None)
    for inventory in found
  ]
  facts = proposal.Facts(
    people=(len(first.patients), len(second.patients)),
    slices=(_count(first.slices), _count(second.slices)),
    whole=(_is_whole(first.slices), _is_whole(second.slices)),
    memory=devices.memory_of_device(),
    devices=jax.local_device_count(),
    processors=devices.on_cpu(),
    spacing=None,
    apart=None,
    plane='axial',
    length=float(max(max(scan.voxels.shape[:2]) for scan in opened)),
  )
  volumes = [
    [entry for entry in inventory.usable if entry.affine is not None]
    for inventory in found
  ]
  if not all(volumes) or not all(scan.measured for scan in opened):
    return facts
  plane = statistics.mode(_acquired(entry) for own in volumes for entry in own)
  spacings = [
    np.median(
      [volume_lib.plane_spacing(entry.affine, plane) for entry in own], axis=0
    )
    for own in volumes
  ]
  settings = _SETTINGS._replace(planes=(plane,))
  lengths = [inventory_lib.measure_heads(each, settings) for each in found]
  return facts._replace(
    spacing=float(max(max(each[1:]) for each in spacings)),
    apart=float(max(each[0] for each in spacings)),
    plane=plane,
    length=max(max(each) for each in lengths),
  )


def _count(slices) -> int:
  """How many slices are worth training on."""
  shares = [each.head for each in slices.slices]
  return sum(share >= _LEAST * max(shares) for share in shares)


def _is_whole(slices) -> bool:
  """Whether axial slices show whole heads, not brains alone."""
  images = channels.to_gray(slices_lib.load_spread(slices, _READ))
  images = (images + 1) / 2
  heads = head.find_heads(images)
  # As if it were a grown person's: pictures tell no millimetres.
  extent = max(framing.measure_extent(heads))
  pixel = _HEAD / max(extent * slices.size, 1)
  return inside.shows_skull(images, heads, (pixel, pixel))


def _acquired(entry) -> str:
  """The plane of a volume whose slices are the furthest apart, else axial."""
  apart = {
    plane: volume_lib.plane_spacing(entry.affine, plane)[0]
    for plane in volume_lib.PLANES
  }
  furthest = max(apart, key=apart.__getitem__)
  return furthest if apart[furthest] > 1.2 * apart['axial'] else 'axial'


def _write(fields, reasons, path, what) -> str:
  """The text of a recipe."""
  why = '\n'.join(
    textwrap.fill(f'- {line}', 80, subsequent_indent='  ') for line in reasons
  )
  lines = [
    f'  config.{name} = {pprint.pformat(value)}'
    for name, value in fields.items()
  ]
  header = _HEADER.format(what=what, path=path, why=why)
  return '\n'.join([header + lines[0], *lines[1:], '  return config', ''])
