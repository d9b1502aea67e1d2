"""The model card of a run: what it is, of what, how good, what it is not for.

After Mitchell et al. 2019, "Model Cards for Model Reporting". It says what the
run knows of itself; what only people know is left to them, and said so.
"""

import hashlib
import pathlib

from cyclegan_jax import console
from cyclegan_jax import files
from cyclegan_jax.evaluation import tables
from cyclegan_jax.pages import page
from cyclegan_jax.pages import run_files
from cyclegan_jax.pages import verdict

NAME = 'MODEL_CARD.md'


def write(run: run_files.RunFiles):
  """Writes MODEL_CARD.md of a run to its workdir, unless people wrote in it."""
  path = run.workdir / NAME
  if _is_edited(path):
    console.say(f'note: {path} has been edited and is left as it is')
    return
  with files.replace_file(path) as partial:
    partial.write_bytes(_compose(run))


def describe(workdir: pathlib.Path, step: int) -> bytes | None:
  """The card of one checkpoint, or what people made of the run's; or None."""
  path = workdir / NAME
  if _is_edited(path):
    console.say(
      f'note: people wrote in {path}, which is packed as it is: see that it is '
      f'of step {step}'
    )
    return path.read_bytes()
  known = (workdir / 'config.json').exists()
  return _compose(run_files.read(workdir, step)) if known else None


def make(run: run_files.RunFiles) -> str:
  """The card as Markdown; it names no patient and no place."""
  report = run.scores
  patients = 0
  if report and 'ab' in report:
    patients = tables.count_patients(report['ab'])
  return page.render(
    'card.md.jinja',
    run=run,
    training=list(verdict.describe_training(run)),
    statements=list(verdict.judge(run)),
    directions=[
      (run.names(direction), list(verdict.list_methods(report[direction])))
      for direction in ('ab', 'ba')
      if report and report['paired'] and direction in report
    ],
    warnings=[line['text'] for line in run.warnings],
    few=tables.too_few(patients),
    patients=patients,
  )


def _compose(run):
  text = make(run)
  return (text + _sign(text)).encode()


def _is_edited(path):
  # Whoever edited it may have saved it in another encoding.
  return path.exists() and not _is_ours(
    path.read_text(encoding='utf-8', errors='replace')
  )


def _sign(text):
  """A line that no longer fits once the text above it is another."""
  digest = hashlib.sha256(text.encode()).hexdigest()[:16]
  return f'\n<!-- written by cyclegan_jax, {digest} -->\n'


def _is_ours(text):
  above, sign, _ = text.rpartition('\n<!-- ')
  return bool(sign) and text == above + _sign(above)
