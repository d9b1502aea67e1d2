"""config.json: what a run is, kept in its folder; without JAX."""

import datetime
import json
import pathlib

from cyclegan_jax import files

_BEGINNING = ('started', 'started_from', 'learnt_from')


def read(workdir: pathlib.Path) -> dict:
  """All that config.json holds; empty if it cannot be read, or was removed."""
  try:
    description = json.loads((workdir / 'config.json').read_text())
    return description if 'config' in description else {}
  except (OSError, ValueError, TypeError):
    return {}


def write(
  workdir: pathlib.Path, description: dict, facts: dict, *, resumed: bool
):
  """Writes config.json.

  Args:
    workdir: of the run.
    description: from `summary.describe`.
    facts: from `summary.describe_run`.
    resumed: whether the run began earlier: when and from what stays, and how it
      ended if it has the same end now.
  """
  if resumed:
    old = read(workdir).get('facts', {})
    if old.get('num_steps') != facts['num_steps']:
      old = {name: old[name] for name in _BEGINNING if name in old}
    facts = old | facts | {'started': old.get('started', facts['started'])}
  files.write_json(workdir / 'config.json', description | {'facts': facts})


def add_facts(workdir: pathlib.Path, **facts):
  """Adds to the facts of config.json what is known at the end."""
  description = read(workdir)
  if not description:  # removed by its owner
    return
  facts = description.get('facts', {}) | facts
  files.write_json(workdir / 'config.json', description | {'facts': facts})


def is_concluded(workdir: pathlib.Path) -> bool:
  """Whether the facts say that a run has come to its end, pages and all."""
  told = 'finished' in read(workdir).get('facts', {})
  return told and (workdir / 'report.html').exists()


def say_time() -> str:
  """Now, for people."""
  return f'{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC'
