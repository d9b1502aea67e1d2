"""Curves of a run, to be read by pointing at them."""

from collections.abc import Iterator
from collections.abc import Sequence
import itertools
from typing import Any
from typing import NamedTuple

import markupsafe
import plotly.io

from cyclegan_jax.pages import run_files

_POINTS = 1500  # of a curve: more are not to be told apart
# Okabe and Ito 2008: told apart by the colour-blind too.
_COLORS = {'ab': '#0072B2', 'ba': '#D55E00', 'other': '#777777'}
_EMBEDDED: dict[str, Any] = {
  'config': {'displayModeBar': False, 'responsive': True},
  'default_height': 280,
}
_LINE = {'type': 'line', 'line': {'color': '#009E73', 'width': 1}}
_WORD = {'showarrow': False, 'font': {'size': 11, 'color': '#00704d'}}
_AXIS = {'gridcolor': '#e8ebee', 'zeroline': False, 'automargin': True}
_LAYOUT: dict[str, Any] = {
  'hovermode': 'x unified',
  'height': 280,
  'margin': {'l': 48, 'r': 16, 't': 16, 'b': 40},
  'legend': {'orientation': 'h', 'y': 1.02, 'yanchor': 'bottom', 'x': 0},
  'showlegend': True,
  'font': {'family': 'system-ui, sans-serif', 'size': 12},
  'plot_bgcolor': 'white',
  'xaxis': _AXIS | {'title': {'text': 'step'}},
  'yaxis': _AXIS | {'exponentformat': 'e'},
}
_MARKED = 40  # points of a curve that are drawn as such
_DASHES = ('solid', 'dash', 'dot', 'dashdot')


class Curve(NamedTuple):
  """A line of a chart: its name, its points, its look."""

  name: str
  x: Sequence[float]
  y: Sequence[float | None]
  color: str
  dash: str = 'solid'


class Chart(NamedTuple):
  """A chart as HTML, and what it is called."""

  title: str
  html: markupsafe.Markup


def draw_run(run: run_files.RunFiles) -> Iterator[Chart]:
  """The curves of one run; those of which it has points."""
  a, b = run.domains
  directions = {'ab': f'{a} to {b}', 'ba': f'{b} to {a}'}
  for metric, title in (('psnr', 'PSNR, dB'), ('ssim', 'SSIM')):
    curves = _take(run.evaluations, f'{metric}_{{}}', directions)
    unchanged = {'unchanged': 'untranslated'}
    curves += _take(run.evaluations, f'{metric}_{{}}', unchanged, dash='dot')
    yield from _draw(f'Held-out {title}', curves, mark=run.best)
  curves = _take(run.evaluations, 'distance_{}', directions)
  yield from _draw(
    'Distance from the other contrast, without pairs (lower is better)',
    curves,
    mark=run.best,
  )
  judges = {'b': f'that of {b}', 'a': f'that of {a}'}
  curves = _take(run.steps, 'discriminator_{}', judges)
  yield from _draw(
    'Discriminators: loss', curves, level=(run.equilibrium, 'equilibrium')
  )
  curves = _take(run.steps, 'generator_{}', directions)
  yield from _draw('Generators: loss', curves)
  curves = _take(run.steps, 'learning_{}', {'rate': 'learning rate'})
  yield from _draw('Learning rate', curves)


def draw_together(runs: Sequence[run_files.RunFiles]) -> Iterator[Chart]:
  """What can be compared between runs: held-out scores and distances."""
  for metric, title in (
    ('psnr', 'Held-out PSNR, dB'),
    ('ssim', 'Held-out SSIM'),
    ('distance', 'Distance without pairs (lower is better)'),
  ):
    curves = []
    for run, dash in zip(runs, itertools.cycle(_DASHES), strict=False):
      a, b = run.domains
      names = {
        'ab': f'{run.name}: {a} to {b}',
        'ba': f'{run.name}: {b} to {a}',
      }
      curves += _take(run.evaluations, f'{metric}_{{}}', names, dash=dash)
    yield from _draw(title, curves)


def _take(lines, field, names, dash='solid') -> list[Curve]:
  curves = []
  for key, name in names.items():
    points = [
      (line['step'], line[field.format(key)])
      for line in lines
      if field.format(key) in line
    ]
    points = points[:: max(1, len(points) // _POINTS)]
    if points:
      x, y = zip(*points, strict=True)
      own = {'a': 'ba', 'b': 'ab'}.get(key, key)  # who judges b, is of ab
      color = _COLORS.get(str(own), _COLORS['other'])
      curves.append(Curve(name, x, y, color, dash))
  return curves


def _draw(title, curves, *, mark=None, level=None) -> Iterator[Chart]:
  if not curves:
    return
  lines = [
    {
      'type': 'scatter',
      'x': list(curve.x),
      'y': list(curve.y),
      'name': curve.name,
      'mode': 'lines+markers' if len(curve.x) < _MARKED else 'lines',
      'line': {'color': curve.color, 'dash': curve.dash, 'width': 2},
      'hovertemplate': '%{y:.4g}',
    }
    for curve in curves
  ]
  shapes, words = [], []
  if level is not None:
    height, text = level
    place = {'xref': 'paper', 'yref': 'y', 'y0': height, 'y1': height}
    shapes.append(_LINE | place | {'x0': 0, 'x1': 1})
    corner = {'xref': 'paper', 'x': 1, 'xanchor': 'right', 'y': height}
    words.append(_WORD | corner | {'text': text, 'yanchor': 'bottom'})
  if mark is not None:
    place = {'xref': 'x', 'yref': 'paper', 'x0': mark, 'x1': mark}
    shapes.append(_LINE | place | {'y0': 0, 'y1': 1})
    corner = {'yref': 'paper', 'y': 1, 'yanchor': 'top', 'x': mark}
    words.append(_WORD | corner | {'text': 'best', 'xanchor': 'right'})
  layout = _LAYOUT | {'shapes': shapes, 'annotations': words}
  html: Any = plotly.io.to_html(
    {'data': lines, 'layout': layout},
    full_html=False,
    include_plotlyjs=False,  # the page has it once
    validate=False,  # which takes a second for nine charts
    **_EMBEDDED,
  )
  yield Chart(title, markupsafe.Markup(html))
