"""A model to hand on: what a colleague needs to translate and to evaluate."""

import contextlib
import dataclasses
import pathlib

from cyclegan_jax import build
from cyclegan_jax import console
from cyclegan_jax import source as source_lib
from cyclegan_jax import stored_config
from cyclegan_jax.pages import card as card_lib
from cyclegan_jax.runtime import kept
from cyclegan_jax.runtime import packed

_NOTICE = """\
A CycleGAN that translates MRI, {a} to {b}{back}: what translates of one
checkpoint, step {step} of the run {run!r}. With cyclegan_jax:

  python launch.py --mode=translate --workdir=THIS.zip --direction={first} \\
      --source=SCAN --target=SYNTHETIC_SCAN

Its outputs are synthetic images. They are not for diagnosis.

The program, cyclegan_jax, is under the Apache License 2.0. These weights are
not the program: they were learnt from {sources}.
{terms}"""
_TERMS = {
  'scans': """\
What may be done with weights that were learnt from scans, whoever trained them
knows; ask there. That they cannot be made to show one of those scans is not
known: treat them as you would the scans.
""",
  'simulated': """\
The simulated heads, which are no patients, derive from the ICBM152 2009
template (Fonov et al. 2011), which nilearn distributes: its terms hold.
""",
  'imported': """\
The networks were trained by another program and imported. What they were learnt
from, and what may be done with them, whoever trained them knows; ask there.
""",
}
_NAMES = {
  'scans': 'scans of people',
  'simulated': 'simulated heads',
  'imported': 'what their files do not tell',
}


def pack(
  workdir: str,
  *,
  target: str,
  checkpoint: str = 'newest',
  overwrite: bool = False,
):
  """Writes generators, and what is to be known of them, to one file.

  Args:
    workdir: of the run.
    target: the file, as `checks.check_pack` has passed it.
    checkpoint: 'newest', 'best' as judged without pairs, or a step.
    overwrite: whether a file that exists is replaced; `checks` has seen to it.

  Raises:
    UserError: if there is no such checkpoint, or it is damaged.
  """
  del overwrite
  source = source_lib.open_source(kept.find(workdir, checkpoint))
  whole = _measure(workdir)
  packed.write(
    pathlib.Path(target),
    _read_generators(source),
    _describe(source),
    notice=_write_notice(source),
    card=card_lib.describe(pathlib.Path(workdir), source.meta.step),
  )
  size = pathlib.Path(target).stat().st_size
  console.say(
    f'{target}: step {source.meta.step} of {workdir}, '
    f'{console.format_size(size)} of the {console.format_size(whole)} there '
    f'({size / whole:.1%})'
  )


def _read_generators(source):
  """Names and arrays, one generator at a time."""
  like = build.generator_shapes(stored_config.read(source.meta.config))
  for direction in source.meta.directions():
    params = source_lib.read_generator(source, direction, like)
    yield f'gen_{direction}', source_lib.flatten(params)


def _describe(source):
  """What JSON is to hold: no sums, which only training goes on with."""
  meta = dataclasses.replace(
    source.meta,
    config=stored_config.hide_machine(source.meta.config),
    sums=None,
  )
  return meta.to_json() | {'run': source.run}


def _write_notice(source):
  a, b = source.meta.config['domains']
  learnt_from = source.meta.learnt_from()
  directions = source.meta.directions()
  if directions == ['ba']:
    a, b = b, a
  return _NOTICE.format(
    a=a,
    b=b,
    back=' and back' if len(directions) > 1 else '',
    first=directions[0],
    step=source.meta.step,
    run=source.run,
    sources=' and '.join(_NAMES[each] for each in learnt_from),
    terms=''.join(_TERMS[each] for each in learnt_from),
  )


def _measure(workdir):
  size = 0
  for path in pathlib.Path(workdir).rglob('*'):
    with contextlib.suppress(FileNotFoundError):  # by a run that goes on
      size += path.stat().st_size if path.is_file() else 0
  return size
