"""Pictures for people: sample grids."""

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

_TILE = 128  # pixels: smaller images are enlarged to be seen
_GAP = 2
_NOTICE = 'synthetic: not for diagnosis'


def draw_samples(images: dict, domains: tuple[str, str], *, step: int):
  """A labelled grid: a column a sample, a row a stage.

  Args:
    images: 'a', 'fake_b', 'cycled_a', 'b', 'fake_a', 'cycled_b', each
      [N, H, W, 1] in [-1, 1].
    domains: names of a and b for people.
    step: done, for the caption.

  Returns:
    A gray PIL image.
  """
  a, b = domains
  labels = {
    'a': (a, 'input'),
    'fake_b': (f'{a} to {b}', 'synthetic'),
    'cycled_a': (f'... back to {a}', 'synthetic'),
    'b': (b, 'input'),
    'fake_a': (f'{b} to {a}', 'synthetic'),
    'cycled_b': (f'... back to {b}', 'synthetic'),
  }
  count, height, width, _ = images['a'].shape
  scale = max(1, -(-_TILE // height))
  height, width = height * scale, width * scale
  font = ImageFont.load_default(14)
  margin = 16 + max(
    int(font.getlength(text)) for pair in labels.values() for text in pair
  )
  caption = 28
  grid = Image.new(
    'L',
    (
      margin + count * (width + _GAP),
      caption + len(labels) * (height + _GAP),
    ),
  )
  draw = ImageDraw.Draw(grid)
  draw.text((8, 6), f'step {step}   {_NOTICE}', fill=255, font=font)
  for row, (stage, lines) in enumerate(labels.items()):
    top = caption + row * (height + _GAP)
    draw.text((8, top + 8), '\n'.join(lines), fill=255, font=font)
    for column, image in enumerate(np.asarray(images[stage])):
      tile = Image.fromarray(_to_bytes(image[..., 0]))
      tile = tile.resize((width, height), Image.BICUBIC)
      grid.paste(tile, (margin + column * (width + _GAP), top))
  return grid


def _to_bytes(image):
  return np.uint8(np.clip((image + 1) * 127.5, 0, 255).round())
