"""Taking a log back to the step that a run goes on from."""

import contextlib
import json
import pathlib

from cyclegan_jax import files

SAMPLE = 'samples/step_{}.png'


def read_lines(path: pathlib.Path) -> list[dict]:
  """The lines of metrics.jsonl, in order; none of a log that is not there.

  Half a line, where a run was killed, is left out.
  """
  lines = []
  if path.exists():
    for text in path.read_text().splitlines():
      with contextlib.suppress(json.JSONDecodeError):
        lines.append(json.loads(text))
  return lines


def open_lines(path: pathlib.Path, start: int):
  """Opens metrics.jsonl to go on after step `start`.

  Lines of steps that a kill has undone are dropped, as are those written only
  because the run ended where it now goes on. What is written to the file goes
  to the disk at once, all of it or as much as there is room for.
  """
  kept = [
    json.dumps(line) + '\n'
    for line in (read_lines(path) if start else ())
    if line['step'] <= start and not line.get('final')
  ]
  with files.replace_file(path) as partial:
    partial.write_text(''.join(kept))
  return path.open('ab', buffering=0)


def forget_samples(workdir: pathlib.Path, start: int):
  """Removes the sample grids of steps after `start`."""
  for step, path in list_samples(workdir):
    if step > start:
      path.unlink()


def list_samples(workdir: pathlib.Path) -> list[tuple[int, pathlib.Path]]:
  """(step, path) of the sample grids, in order; others are nobody's."""
  found = {
    path.stem.removeprefix('step_'): path
    for path in workdir.glob(SAMPLE.format('*'))
  }
  return sorted((int(x), path) for x, path in found.items() if x.isdigit())
