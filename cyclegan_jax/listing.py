"""The checkpoints of a run as a table: which there are, and how good."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import pathlib
from typing import Any

from cyclegan_jax import console
from cyclegan_jax.reporting import rewind
from cyclegan_jax.runtime import inspection
from cyclegan_jax.runtime import kept
from cyclegan_jax.runtime import packed

_NONE = '-'


def list_checkpoints(workdir: str):
  """Prints a line for each checkpoint of a run, and which one is taken.

  Reads all of them, for what is damaged is to be told. Without JAX: it would
  take the devices of a run that goes on.

  Args:
    workdir: of the run, or what was packed of it.
  """
  place = pathlib.Path(workdir)
  if place.is_file():
    console.say(_describe_packed(place))
    return
  looks = {
    path: (kind, inspection.look(path))
    for kind in kept.KINDS
    for path in kept.list_kind(place, kind)
  }
  found = {path: (kind, look) for path, (kind, look) in looks.items() if look}
  domains = next(
    (look.meta['config']['domains'] for _, look in found.values() if look.meta),
    ('a', 'b'),
  )
  lines = rewind.read_lines(place / 'metrics.jsonl')
  rows = [
    _describe(path, kind, look, lines)
    for path, (kind, look) in sorted(
      found.items(), key=lambda item: (int(item[0].name), item[1][0])
    )
  ]
  for line in _align([_head(*domains), *rows]):
    console.say(line)
  newest = [path for path, (kind, _) in found.items() if kind == 'newest']
  if newest:
    console.say(_describe_choice(newest[-1], found[newest[-1]][1].whole))


def _describe_packed(path):
  meta = packed.read_meta(path)
  a, b = meta['config']['domains']
  imported = meta.get('imported')
  both = imported is None or {'gen_ab', 'gen_ba'} <= imported.keys()
  back = ' and back' if both else ''
  return (
    f'{path}: {a} to {b}{back}, packed from step {meta["step"]} of the run '
    f'{meta["run"]}, {console.format_size(path.stat().st_size)}; it is what '
    'translates'
  )


def _describe_choice(path, whole):
  step = path.name
  if not whole:
    return (
      f'--checkpoint=newest, the default, is step {step}, which is damaged: '
      'name another, or move it away'
    )
  return f'--checkpoint=newest, the default, is step {step}'


def _head(a, b):
  return (
    *('step', 'epoch', 'kind', 'saved', 'size', f'{a} to {b}', f'{b} to {a}'),
    *('distance', 'scored at'),
  )


def _describe(path, kind, look, lines) -> tuple[str, ...]:
  """The cells of a row.

  Args:
    path: of the checkpoint.
    kind: one of `kept.KINDS`.
    look: at it.
    lines: of the log, in order.
  """
  step = int(path.name)
  before = [line for line in lines if line['step'] <= step]
  scores = next(
    (line for line in reversed(before) if line['kind'] == 'evaluation'), {}
  )
  saved = datetime.datetime.fromtimestamp(look.saved)
  return (
    f'{step}',
    f'{before[-1]["epoch"]}' if before else _NONE,
    kind if look.whole else f'{kind}, damaged',
    saved.isoformat(' ', 'minutes'),
    console.format_size(look.size),
    *(_format_pair(scores, direction) for direction in ('ab', 'ba')),
    f'{scores["distance"]:.3f}' if 'distance' in scores else _NONE,
    f'{scores["step"]}' if scores else _NONE,
  )


def _format_pair(scores: Mapping[str, Any], direction: str) -> str:
  if f'psnr_{direction}' not in scores:
    return _NONE
  psnr, ssim = (scores[f'{name}_{direction}'] for name in ('psnr', 'ssim'))
  return f'{psnr:.1f} / {ssim:.2f}'


def _align(rows: Sequence[Sequence[str]]) -> Iterator[str]:
  """Rows of cells as lines, each column as wide as its widest cell."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  for row in rows:
    cells = map(str.ljust, row, widths)
    yield '  '.join(cells).rstrip()
