"""Volumes on a page: three planes, a crosshair, and what to blend in."""

import base64
from collections.abc import Mapping
from collections.abc import Sequence
import json
import pathlib

from cyclegan_jax.evaluation import views as views_lib
from cyclegan_jax.pages import assets
from cyclegan_jax.pages import page

_MOST = 9_000_000  # bytes of packed volumes on a page that holds more


def load(workdir: pathlib.Path) -> dict | None:
  """The views of a workdir as a page holds them; None if there are none.

  Of large ones those that fit, the worst patient before others.
  """
  folder = workdir / views_lib.FOLDER
  try:
    index = json.loads((folder / 'index.json').read_text())
    found = [
      (
        view,
        {
          stage: (folder / pathlib.Path(name).name).read_bytes()
          for stage, name in view['files'].items()
        },
      )
      for view in index['views']
    ]
  except (OSError, ValueError):  # half a copy, or none
    return None
  size, shown = 0, []
  for view, images in reversed(found):  # the worst patient tells most
    size += sum(map(len, images.values()))
    if not shown or size <= _MOST:
      shown.insert(0, _pack(view, images))
  return {'domains': index['domains'], 'views': shown} if shown else None


def write(
  path: pathlib.Path,
  view: views_lib.View,
  *,
  domains: Sequence[str],
  title: str,
  details: Mapping[str, object],
  picture: pathlib.Path,
) -> pathlib.Path:
  """Writes a page with one view.

  Args:
    path: of the page.
    view: to be shown.
    domains: names of a and b.
    title: what it is of.
    details: what is to be known of how it was made.
    picture: for browsers that cannot draw volumes.
  """
  images = {
    stage: views_lib.encode(view, stage, domains) for stage in view.images
  }
  return page.write(
    path,
    'preview.html.jinja',
    title=title,
    details=details,
    niivue=assets.read_niivue(),
    viewer={
      'domains': list(domains),
      'views': [_pack(view.describe(), images)],
    },
    embed_json=page.embed_json,
    fallback=page.embed_picture(picture),
  )


def _pack(told, images):
  """What `View.describe` tells, and NIfTI files by stage, for page.js."""
  known = {key: told[key] for key in ('name', 'rank', 'neighbours')}
  return known | {
    'images': {
      stage: base64.b64encode(content).decode()
      for stage, content in images.items()
    }
  }
