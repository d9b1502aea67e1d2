"""Pictures for people: tables of labelled tiles.

`draw_samples` takes a network's [-1, 1]; the others take pictures in [0, 1].
"""

from collections.abc import Sequence
import itertools
import math

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from cyclegan_jax.mri import channels

_SMALL, _LARGE = 128, 192  # pixels: lower tiles are enlarged to be seen
_GAP = 2
_LINE = 28  # pixels: of the caption, and of the headings
_NOTICE = 'synthetic: not for diagnosis'

# Magma, after matplotlib's (van der Walt and Smith 2015): as bright as large,
# for the colour-blind and in print too. RGB at equal steps from 0 to 1.
_MAGMA = np.array(
  [
    (0, 0, 4),
    (28, 16, 68),
    (79, 18, 123),
    (129, 37, 129),
    (181, 54, 122),
    (229, 80, 100),
    (251, 135, 97),
    (254, 194, 135),
    (252, 253, 191),
  ]
)


def draw_samples(images: dict, domains: tuple[str, str], *, step: int):
  """A labelled grid: a column a sample, a row a stage.

  Args:
    images: 'a', 'fake_b', 'cycled_a', 'b', 'fake_a', 'cycled_b', each
      [N, H, W, C] in [-1, 1].
    domains: names of a and b for people.
    step: done, for the caption.

  Returns:
    A gray PIL image.
  """
  a, b = domains
  labels = {
    'a': f'{a}\ninput',
    'fake_b': f'{a} to {b}\nsynthetic',
    'cycled_a': f'... back to {a}\nsynthetic',
    'b': f'{b}\ninput',
    'fake_a': f'{b} to {a}\nsynthetic',
    'cycled_b': f'... back to {b}\nsynthetic',
  }
  scale = _choose_scale(images['a'].shape[1], 1, _SMALL)
  tiles = [
    [
      _make_tile((image + 1) / 2, scale, (1, 1))
      for image in channels.to_gray(np.asarray(images[stage]))
    ]
    for stage in labels
  ]
  return _lay_out(tiles, list(labels.values()), caption=f'step {step}')


def draw_comparison(
  rows,
  *,
  caption: str,
  headings: tuple[str, ...] = ('input', 'synthetic', 'truth', '|difference|'),
  top: float = 0.5,
  pixel_sizes: Sequence[tuple[float, float]] | None = None,
):
  """A row a slice: input, translation, truth, and where the two differ.

  Args:
    rows: of (label, input, translation, truth): a label of one or more lines
      and three pictures [H, W] in [0, 1] of one shape.
    caption: to which the notice that this is not for diagnosis is added.
    headings: of the four columns.
    top: the absolute difference that has the brightest colour; more has it too.
    pixel_sizes: of every row, (height, width) of its pixels in millimetres: all
      are drawn at one scale. None: square ones.

  Returns:
    An RGB PIL image, a colour bar of the difference at its right.
  """
  rows = list(rows)
  pixel_sizes = pixel_sizes or [(1.0, 1.0)] * len(rows)
  tallest = max(
    len(source) * size[0]
    for (_, source, _, _), size in zip(rows, pixel_sizes, strict=True)
  )
  scale = _choose_scale(tallest, np.min(pixel_sizes), _LARGE)
  tiles = []
  for row, size in zip(rows, pixel_sizes, strict=True):
    _, source, translation, truth = row
    error = np.abs(np.asarray(translation, np.float64) - truth) / top
    grays = [
      _make_tile(picture, scale, size)
      for picture in (source, translation, truth, error)
    ]
    tiles.append(grays[:3] + [_color(grays[3])])
  labels = [label for label, *_ in rows]
  return _lay_out(tiles, labels, caption=caption, headings=headings, bar=top)


def draw_planes(
  rows,
  *,
  caption: str,
  pixel_sizes: tuple[tuple[float, float], ...],
  headings: tuple[str, ...] = ('axial', 'coronal', 'sagittal'),
  sides: tuple[str, ...] | None = None,
):
  """A row a scan, a column a plane through it, all at one scale.

  Args:
    rows: of (label, pictures): one picture [H, W] in [0, 1] a plane; the source
      first, the synthetic scan below it.
    caption: to which the notice that this is not for diagnosis is added.
    pixel_sizes: (height, width) in millimetres of a pixel of each plane.
    headings: of the columns.
    sides: of every plane, what its left and right edge are marked with.

  Returns:
    A gray PIL image.
  """
  rows = list(rows)
  tallest = max(
    len(picture) * size[0]
    for _, pictures in rows
    for picture, size in zip(pictures, pixel_sizes, strict=True)
  )
  scale = _choose_scale(tallest, np.min(pixel_sizes), _LARGE)
  tiles = [
    [
      _make_tile(picture, scale, size)
      for picture, size in zip(pictures, pixel_sizes, strict=True)
    ]
    for _, pictures in rows
  ]
  for row in tiles:
    for tile, marks in zip(row, sides or (), strict=False):
      _mark_sides(tile, marks)
  labels = [label for label, _ in rows]
  return _lay_out(tiles, labels, caption=caption, headings=headings)


def _choose_scale(tallest, finest, least):
  """Screen pixels a millimetre: a whole number for the finest pixels.

  The fewest that draw `tallest` mm at least `least` pixels high.
  """
  return max(1, math.ceil(least * finest / tallest)) / finest


def _make_tile(picture, scale, pixel_size):
  picture = np.asarray(picture)
  pixels = np.clip(picture * 255, 0, 255).round().astype(np.uint8)
  height, width = (
    max(1, round(count * step * scale))
    for count, step in zip(picture.shape, pixel_size, strict=True)
  )
  return Image.fromarray(pixels).resize(
    (width, height), Image.Resampling.BICUBIC
  )


def _mark_sides(tile, marks):
  """Writes a letter at the left and the right edge, half-way up."""
  draw = ImageDraw.Draw(tile)
  font = ImageFont.load_default(14)
  for mark, x, anchor in zip(marks, (4, tile.width - 4), 'lr', strict=True):
    draw.text(
      (x, tile.height / 2),
      mark,
      fill='white',
      font=font,
      anchor=f'{anchor}m',
      stroke_width=2,
      stroke_fill='black',
    )


def _color(tile):
  steps = np.linspace(0, 255, len(_MAGMA))
  levels = np.arange(256)
  table = [np.interp(levels, steps, channel) for channel in _MAGMA.T]
  colors = np.rint(table).astype(np.uint8).T
  return Image.fromarray(colors[np.asarray(tile)])


def _lay_out(tiles, labels, *, caption, headings=None, bar=None):
  """Pastes rows of tiles into a table wide enough for every text.

  Labels go to the left of the rows, headings above the columns, and with `bar`
  a colour bar from 0 to it goes to the right. RGB with it, gray without.
  """
  font = ImageFont.load_default(14)
  caption = f'{caption}   {_NOTICE}'

  def measure(texts):
    lines = [line for text in texts for line in text.split('\n')]
    return max(math.ceil(font.getlength(line)) for line in lines)

  margin = 16 + measure(labels)
  rows = [
    max([tile.height for tile in row] + [8 + 18 * (label.count('\n') + 1)])
    for row, label in zip(tiles, labels, strict=True)
  ]
  columns = [
    max(tile.width for tile in column) for column in zip(*tiles, strict=True)
  ]
  if headings:
    columns = [
      max(width, measure([text]) + 8)
      for width, text in zip(columns, headings, strict=True)
    ]
  start = _LINE * (2 if headings else 1)
  *lefts, right = _add_up(margin, columns)
  *tops, bottom = _add_up(start, rows)
  wide = right + (0 if bar is None else 72)
  page = Image.new(
    'L' if bar is None else 'RGB',
    (max(wide, 16 + measure([caption])), bottom),
  )
  draw = ImageDraw.Draw(page)
  draw.text((8, 6), caption, fill='white', font=font)
  for text, left, width in zip(headings or [], lefts, columns, strict=False):
    middle = (left + width / 2, _LINE + 6)
    draw.text(middle, text, fill='white', font=font, anchor='ma')
  for row, label, top, height in zip(tiles, labels, tops, rows, strict=True):
    draw.text((8, top + 8), label, fill='white', font=font)
    for tile, left, width in zip(row, lefts, columns, strict=True):
      corner = (width - tile.width) // 2, (height - tile.height) // 2
      page.paste(tile, (left + corner[0], top + corner[1]))
  if bar is not None:
    box = (right + 12, start, right + 28, bottom - _GAP)
    _draw_bar(page, draw, box, bar, font)
  return page


def _add_up(start, sizes):
  """Where every cell begins, and where the next one would."""
  steps = (size + _GAP for size in sizes)
  return list(itertools.accumulate(steps, initial=start))


def _draw_bar(page, draw, box, largest, font):
  """A colour bar in `box` (left, top, right, bottom), ticks at its right."""
  left, top, right, bottom = box
  ramp = np.linspace(255, 0, bottom - top).round().astype(np.uint8)[:, None]
  page.paste(_color(np.repeat(ramp, right - left, 1)), (left, top))
  # 0 is as black as the page
  draw.rectangle((left, top, right - 1, bottom - 1), outline='gray')
  for share, anchor in ((0, 'ls'), (0.5, 'lm'), (1, 'la')):
    y = round(bottom - 1 - share * (bottom - 1 - top))
    draw.line((right, y, right + 3, y), fill='white')
    text = f'{share * largest:.3g}'
    draw.text((right + 6, y), text, fill='white', font=font, anchor=anchor)
