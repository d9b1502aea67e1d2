"""What a run is worth, in words: of its scores beside the references."""

from collections.abc import Iterable
from collections.abc import Iterator
import math
from typing import NamedTuple

from cyclegan_jax.evaluation import scores as scores_lib
from cyclegan_jax.evaluation import tables
from cyclegan_jax.pages import run_files

# In what order a translation has to beat them, and what it means if not.
_REFERENCES = {
  'untranslated': 'the input as it is',
  'inverted': 'the input inverted, then matched in grey levels',
  'oracle': 'the best map of grey level to grey level (an oracle that knows '
  'the truth)',
}
# What needs no network at all; the oracle is a bound, not a method.
_NEEDLESS = {
  'untranslated': 'the input itself',
  'inverted': 'an inverted picture',
}


class Statement(NamedTuple):
  """A sentence, and what news it is: 'good', 'bad', 'unknown' or 'plain'."""

  kind: str
  text: str


def describe_training(run: run_files.RunFiles) -> Iterator[str]:
  """What the run was trained on, where and how far, a sentence each."""
  facts = run.facts
  if facts.get('imported'):
    yield (
      'Imported from the files of another program: what it was trained on, and '
      'how, is not known here.'
    )
  if facts.get('simulated'):
    yield 'Trained on simulated heads: no image shows a real patient.'
  domains = facts.get('domains')
  if domains:
    counts = [
      f'{_count(domains[domain]["patients"], "patient")} '
      f'({_count(domains[domain]["slices"], "slice")}) of {name}'
      for domain, name in zip('ab', run.domains, strict=True)
    ]
    shared = facts.get('shared')
    who = {None: '', 0: ', other people'}.get(shared, f', {shared} in both')
    yield f'Trained on {counts[0]} and {counts[1]}{who}; unpaired.'
    held_out = facts.get('held_out')
    if held_out:
      yield (
        f'Held out: {_count(held_out["patients"], "patient")} '
        f'({_count(held_out["slices"], "pair")} of slices).'
      )
  if facts.get('started'):
    began = f'Started {facts["started"]}'
    if facts.get('finished'):
      began += f', finished {facts["finished"]}'
    yield f'{began}, on {facts.get("devices", "?")}.'
  total = facts.get('num_steps')
  if total:
    text = f'{run.step:,} of {total:,} steps done'
    epochs = run.step / facts['steps_per_epoch']
    yield f'{text}, {epochs:.3g} of {run.recipe["num_epochs"]} epochs.'
  if facts.get('started_from') is not None:
    yield (
      'It began with the networks of another run, after '
      f'{facts["started_from"]:,} steps, which had learnt from '
      f'{" and ".join(_name_origins(facts.get("learnt_from", ())))}.'
    )


def judge(run: run_files.RunFiles) -> Iterator[Statement]:
  """Whether each direction beats what needs no network; which is better."""
  report = run.scores
  if report is None or not report['paired']:
    why = 'Whether the translations are right is not known: '
    if report is None and run.facts.get('held_out'):
      why += 'the held-out patients have not been scored.'
    elif report is None:
      why += 'no patients with both scans were held out.'
    else:
      why += 'the scans that were evaluated are no pairs.'
    yield Statement('unknown', why)
    return
  if report['checkpoint'] != run.step:
    yield Statement(
      'plain',
      f'These scores are of step {report["checkpoint"]:,}; the run has come to '
      f'step {run.step:,}.',
    )
  for direction in ('ab', 'ba'):
    if direction in report:
      yield judge_direction(report[direction], run.names(direction))
  if 'ab' in report and 'ba' in report:
    yield _compare(report, run)
  few = tables.too_few(tables.count_patients(report['ab']))
  if few:
    yield Statement('plain', f'Scored on {few} of these means.')


def judge_direction(own: dict, names: tuple[str, str]) -> Statement:
  """One direction of an evaluation against its references.

  Args:
    own: that direction of evaluation.json.
    names: of the source and the target.
  """
  source, target = names
  beaten, lost, unbeaten = [], [], []
  for method, words in _REFERENCES.items():
    reference = own['references'].get(method)
    if not reference:
      continue
    better = [
      _mean(own[metric]) > _mean(reference[metric])
      for metric in ('psnr', 'ssim')
    ]
    psnr, ssim = (_mean(reference[metric]) for metric in ('psnr', 'ssim'))
    told = f'{words} ({psnr:.1f} dB / {ssim:.2f})'
    if any(better) and not all(better):
      told += ' in PSNR alone' if better[0] else ' in SSIM alone'
    (beaten if any(better) else lost).append(told)
    if method in _NEEDLESS and not all(better):
      unbeaten.append(_NEEDLESS[method])
  parts = []
  if beaten:
    parts.append(f'beats {_join(beaten)}')
  if lost:
    parts.append(f'does not beat {_join(lost)}')
  text = (
    f'{source} to {target}: {_mean(own["psnr"]):.1f} dB / '
    f'{_mean(own["ssim"]):.2f} (PSNR / SSIM inside the head) '
    + '; '.join(parts)
    + '.'
  )
  lower = {
    label
    for label, metric in (('MAE', 'mae'), ('NMI', 'nmi'))
    if any(found == metric for _, found in find_better(own))
  }
  if lower:
    text += f' In {_join(sorted(lower))} a reference is better: see the table.'
  if unbeaten:
    text += f' It shows little that {" or ".join(unbeaten)} does not.'
  return Statement('bad' if unbeaten else 'good', text)


def find_better(own: dict) -> set[tuple[str, str]]:
  """(method, metric) of the references that score better than a translation."""
  found = set()
  for method, reference in own['references'].items():
    for metric in scores_lib.PAIRED:
      ours, theirs = _mean(own[metric]), _mean(reference[metric])
      if (ours > theirs) if metric == 'mae' else (ours < theirs):
        found.add((method, metric))
  return found


def list_warnings(run: run_files.RunFiles) -> list[str]:
  """What went wrong or should make one doubt, a line each."""
  told = []
  total = run.facts.get('num_steps')
  if total and run.step < total:
    told.append(f'Training is not finished: step {run.step:,} of {total:,}.')
  told += [f'Step {line["step"]:,}: {line["text"]}.' for line in run.warnings]
  skipped = sum(line.get('skipped_steps', 0) for line in run.steps)
  if skipped:
    told.append(
      f'{_count(int(skipped), "step")} without a finite loss left out.'
    )
  if run.scores:
    told += [f'Evaluation: {note}.' for note in run.scores['notes']]
    told += [f'Not scored: {line}.' for line in run.scores['failed']]
  return told


def list_methods(own: dict) -> Iterator[tuple[str, str, dict]]:
  """(method, label, scores) of a direction, the translation first."""
  for method, label in scores_lib.METHODS.items():
    values = own if method == 'translation' else own['references'].get(method)
    if values:
      yield method, label, values


def _compare(report, run):
  means = {
    metric: {d: _mean(report[d][metric]) for d in ('ab', 'ba')}
    for metric in ('psnr', 'ssim')
  }
  better, other = sorted(means['psnr'], key=lambda d: -means['psnr'][d])
  decibels, similarity = (
    own[better] - own[other] for own in (means['psnr'], means['ssim'])
  )
  first, second = (' to '.join(run.names(d)) for d in (better, other))
  if not math.isfinite(decibels) or decibels < 0.05:
    return Statement('plain', 'Both directions have the same PSNR.')
  text = f'The better direction is {first}, by {decibels:.1f} dB over {second}'
  if similarity < 0:
    text += f'; by SSIM it is {second}, by {-similarity:.3f}'
  return Statement('plain', f'{text}. Their truths differ in contrast.')


def _mean(summary):
  return math.inf if summary['mean'] is None else summary['mean']


def _name_origins(learnt_from: Iterable[str]) -> list[str]:
  names = {'imported': 'what an imported file does not tell'}
  return [names.get(each, each) for each in learnt_from]


def _count(number, thing):
  return f'{number:,} {thing}{"s" * (number != 1)}'


def _join(words):
  return (
    words[0] if len(words) == 1 else f'{", ".join(words[:-1])} and {words[-1]}'
  )
