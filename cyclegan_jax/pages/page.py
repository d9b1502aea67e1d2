"""From a template to a page: text, pictures and volumes in one file."""

import base64
import contextlib
import datetime
import functools
import io
import json
import pathlib
from typing import Any

import jinja2
import markupsafe
from PIL import Image

from cyclegan_jax import files
from cyclegan_jax import version as version_lib

_LONGEST = 4096  # pixels along a side of a picture; WebP ends at 16383
NOTICE = 'Synthetic, not for diagnosis'


def write(path: pathlib.Path, template: str, **values: Any) -> pathlib.Path:
  """Writes a page, whole or not at all; returns its path.

  Args:
    path: of the page.
    template: its file in `templates`.
    **values: what the template shows.
  """
  text = render(template, **values)
  with files.replace_file(path) as partial:
    partial.write_text(text, encoding='utf-8')
  return path


def render(template: str, **values: Any) -> str:
  """A template with its values, and those that every page shows."""
  return (
    _environment()
    .get_template(template)
    .render(
      notice=NOTICE,
      version=version_lib.VERSION,
      today=datetime.date.today().isoformat(),
      **values,
    )
  )


def embed_picture(path: pathlib.Path, *, quality: int = 85) -> str:
  """A picture as an address that holds it, packed as WebP.

  One that is larger than a page can show is shrunk; it is our own, whatever the
  library thinks of its size.
  """
  with _opened(path) as picture:
    picture.thumbnail((_LONGEST, _LONGEST))
    return embed_image(picture, quality=quality)


def embed_image(picture: Image.Image, *, quality: int = 85) -> str:
  """A picture in memory likewise."""
  packed = io.BytesIO()
  picture.save(packed, format='WEBP', quality=quality, method=2)
  content = base64.b64encode(packed.getvalue()).decode()
  return f'data:image/webp;base64,{content}'


def embed_json(value: Any) -> markupsafe.Markup:
  """What a <script type="application/json"> element holds."""
  return markupsafe.Markup(json.dumps(value).replace('<', '\\u003c'))


@contextlib.contextmanager
def _opened(path):
  most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
  try:
    with Image.open(path) as picture:
      yield picture
  finally:
    Image.MAX_IMAGE_PIXELS = most


@functools.cache
def _environment():
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader('cyclegan_jax.pages'),
    autoescape=lambda name: bool(name and '.html' in name),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters['number'] = _format_number
  return environment


def _format_number(value, digits=2):
  """As people write it; a dash for what is not known."""
  if value is None:
    return '\N{EN DASH}'
  return f'{value:.{digits}f}'.replace('-', '\N{MINUS SIGN}')
