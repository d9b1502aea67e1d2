"""What a look at the data found, for a terminal and for a browser."""

import collections
from collections.abc import Sequence
import pathlib

import numpy as np
from PIL import Image

from cyclegan_jax.data import inventory as inventory_lib
from cyclegan_jax.data import slices as slices_lib
from cyclegan_jax.mri import channels
from cyclegan_jax.pages import page

_SHOWN = 24  # slices of a source
_TILE = 112  # pixels
_NOTES = 5  # of a source: the page has all
_LISTED = 300  # scans of a source: a page of thousands is not read


def describe(
  inventory: inventory_lib.Inventory, domains: Sequence[str]
) -> list[tuple[str, str]]:
  """Labels and values of a source, for people.

  Args:
    inventory: of the source.
    domains: names of a and b.
  """
  rows = [('contrast', domains['ab'.index(inventory.field[-1])])]
  usable, refused = inventory.usable, inventory.refused
  if inventory.entries:
    pictures = sum(len(e.scans) for e in inventory.entries if e.is_pictures)
    volumes = sum(not e.is_pictures for e in inventory.entries)
    kinds = []
    if volumes:
      kinds.append(f'{volumes:,} volume{"s" * (volumes != 1)}')
    if pictures:
      kinds.append(f'{pictures:,} picture{"s" * (pictures != 1)}')
    count = len(inventory.patients)
    rows.append(
      (
        'scans',
        f'{" and ".join(kinds)} of {count:,} patient{"s" * (count != 1)} '
        '(by file name)' + (f', {len(refused)} refused' if refused else ''),
      )
    )
  spacings = collections.Counter(
    ' x '.join(f'{x:g}' for x in entry.spacing)
    for entry in usable
    if entry.spacing
  )
  if spacings:
    rows.append(('spacing, mm', _count(spacings)))
    shapes = collections.Counter(
      ' x '.join(map(str, entry.shape)) for entry in usable if entry.shape
    )
    rows.append(('voxels', _count(shapes)))
    sides = collections.Counter(e.orientation for e in usable if e.orientation)
    rows.append(('orientation', _count(sides)))
  scalings = [entry.scaling for entry in usable if entry.scaling]
  if scalings:
    air = np.median([each.background for each in scalings])
    bright = np.median([each.bright for each in scalings])
    rows.append(
      ('intensities', f'{scalings[0].kind}: air {air:.4g}, bright {bright:.4g}')
    )
  if inventory.slices:
    used = inventory.slices
    blank = used.blank
    text = f'{len(used):,} to use, {blank:,} blank'
    if used.corrupt:
      text += f', {used.corrupt} unreadable'
    rows.append(('slices', text))
  notes = [note for entry in usable for note in entry.notes]
  rows += [('note', note) for note in notes[:_NOTES]]
  if len(notes) > _NOTES:
    rows.append(('note', f'{len(notes) - _NOTES:,} more on the page'))
  rows += [('left out', line) for line in inventory.left_out]
  rows += [('refused', entry.problem) for entry in refused]
  if inventory.problem and not refused:
    rows.append(('refused', inventory.problem))
  return rows


def write(
  path: pathlib.Path,
  tables: Sequence[tuple[inventory_lib.Inventory, list[tuple[str, str]]]],
  *,
  problems: Sequence[str],
  notes: Sequence[str],
  advice: Sequence[str],
) -> pathlib.Path:
  """Writes the page.

  Args:
    path: of the page.
    tables: of every source, with its rows from `describe`.
    problems: why training would refuse; none if it would start.
    notes: what a person should know of sources together.
    advice: sizes, time and memory, a line each.
  """
  return page.write(
    path,
    'survey.html.jinja',
    problems=problems,
    notes=notes,
    advice=advice,
    sources=[
      {
        'field': inventory.field,
        'place': inventory.place,
        'rows': rows,
        'entries': inventory.entries[:_LISTED],
        'more': len(inventory.entries[_LISTED:]),
        'picture': _draw(inventory.slices) if inventory.slices else None,
      }
      for inventory, rows in tables
    ],
  )


def _draw(slices):
  """Slices as the networks see them, in rows of eight."""
  images = channels.to_gray(slices_lib.load_spread(slices, _SHOWN))
  columns = min(8, len(images))
  rows = -(-len(images) // columns)
  sheet = Image.new('L', (columns * _TILE, rows * _TILE))
  for number, image in enumerate(images):
    pixels = np.rint((image + 1) * 127.5).astype(np.uint8)
    tile = Image.fromarray(pixels).resize((_TILE, _TILE))
    row, column = divmod(number, columns)
    sheet.paste(tile, (column * _TILE, row * _TILE))
  return page.embed_image(sheet)


def _count(counter):
  """The commonest, and of how many; what all have goes without."""
  common = counter.most_common(3)
  if len(counter) == 1:
    return common[0][0]
  text = '; '.join(f'{value} ({count})' for value, count in common)
  return text + (f'; {len(counter) - 3} more kinds' if len(counter) > 3 else '')
