"""Scripts that a page carries in itself, from their installed packages."""

import functools
import importlib.metadata
import pathlib

_CLOSING = '</script'


@functools.cache
def read_plotly() -> str:
  """Plotly's charts (MIT licence), 4.8 MB."""
  import plotly.offline

  return _enclose(plotly.offline.get_plotlyjs())


@functools.cache
def read_niivue() -> str:
  """The viewer of volumes that nilearn carries, NiiVue (BSD), 2.3 MB."""
  nilearn = importlib.metadata.distribution('nilearn')
  path = nilearn.locate_file('nilearn/_assets/js/niivue.umd.js')
  return _enclose(pathlib.Path(str(path)).read_text(encoding='utf-8'))


def _enclose(script):
  """As a <script> element can hold it."""
  return script.replace(_CLOSING, '<\\/script')
