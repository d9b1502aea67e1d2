"""Commands of the documentation, and what stands for their placeholders."""

from collections.abc import Iterator
import pathlib
import re
import shlex
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [
  ROOT / 'README.md',
  ROOT / 'BUILD.md',
  ROOT / 'CONTRIBUTING.md',
  ROOT / 'models' / 'README.md',
  *sorted((ROOT / 'docs').glob('*.md')),
]
# Untagged fences hold commands and nothing else; all other text is tagged.
_FENCE = re.compile(r'^( *)```(\S*)[^\n]*\n(.*?)^\1```$', re.S | re.M)
_INLINE = re.compile(r'`((?:\w+=\S+ )*\S*python3? launch\.py [^`]+)`')
_DATA = ('--config.data.train_a=T1_DIR', '--config.data.train_b=T2_DIR')

# Begins with: why it is not run by these tests.
OTHERS = {
  'python3 -m venv': 'installs packages; .ci/run does it',
  '.venv/bin/pip install': 'installs packages; .ci/run does it',
  '.venv-test/bin/': 'the tests themselves; .ci/run does it',
  '.venv/bin/ruff': 'run with the tests',
  '.venv/bin/python -m pytest': 'the tests themselves',
  '.venv/bin/python -m benchmarks.': 'minutes to hours; benchmarks_test.py',
  '.venv/bin/sphinx-build': '.ci/run makes the site',
  '.ci/run': 'runs these tests',
}

# What pages call the scans of a source: what they have here.
SOURCES = {
  **dict.fromkeys(('T1_DIR', 'MR_DIR', 'OTHER_T1_DIR', 'scans/t1'), 'a'),
  **dict.fromkeys(
    ('T2_DIR', 'FLAIR_DIR', 'CT_DIR', 'OTHER_T2_DIR', 'scans/t2'), 'b'
  ),
  **dict.fromkeys(('TEST_T1_DIR', 'TEST_MR_DIR', 'test/t1'), 'test_a'),
  **dict.fromkeys(('TEST_T2_DIR', 'TEST_CT_DIR', 'test/t2'), 'test_b'),
  'scans/*/T1.nii.gz': 'people/*/T1.nii.gz',
  'scans/*/T2.nii.gz': 'people/*/T2.nii.gz',
  'bids/sub-*/anat/*_T1w.nii.gz': 'bids/sub-*/anat/*_T1w.nii.gz',
  'bids/sub-*/anat/*_T2w.nii.gz': 'bids/sub-*/anat/*_T2w.nii.gz',
  'dicom/anna': 'dicom/anna',
  'checkpoints/mri': 'checkpoints/mri',
  **dict.fromkeys(
    ('anna_T1.nii.gz', 'anna_MR.nii.gz', 'scans/t1/anna.nii.gz'),
    'a/anna.nii.gz',
  ),
}
# Runs that pages go on from: each of them is the same run here.
RUNS = (
  *('W', 'runs/mine', 'runs/bids', 'runs/flair', 'runs/ct'),
  *('runs/flair_identity', 'runs/other', 'runs/two', 'runs/quickstart'),
  'runs/resnet',
)
IMPORTED = 'runs/imported'
PACKED, PLANNED = 'mine.zip', 'mine.py'
GIVEN = 'models/whole_heads.zip'
TARGETS = {
  **dict.fromkeys(
    ('anna_T2.nii.gz', 'anna_FLAIR.nii.gz', 'anna_CT.nii.gz'), 'made.nii.gz'
  ),
  'out/anna_T2.nii.gz': 'made.nii.gz',
  'out/anna': 'out/anna',
  'out/all': 'out/all',
  PACKED: PACKED,
  PLANNED: PLANNED,
  'compare.html': 'compare.html',
  **{
    f'model.{each}': f'model.{each}'
    for each in ('onnx', 'stablehlo', 'pth', 'safetensors')
  },
}
# Modes with a workdir that is new.
_BEGIN = ('--mode=train', '--mode=check', '--mode=import')
_PLACES = (
  *('source', 'source_a', 'source_b'),
  *(f'config.data.{r}_{d}' for r in ('train', 'test') for d in 'ab'),
)


class Command(NamedTuple):
  """A line of a page that a person would type."""

  page: str
  text: str
  words: tuple[str, ...]  # flags, after launch.py


def find() -> tuple[list[Command], list[str]]:
  """Commands for launch.py of all pages; the other lines, with their page."""
  found, others = [], []
  for page in PAGES:
    for line in _lines(page.read_text()):
      command = re.fullmatch(
        r'(?:\w+=\S+ )*\S*python3? launch\.py (.*?)(?: &)?', line
      )
      if command:
        words = shlex.split(command[1])
        filled = [
          each
          for word in words
          for each in (_DATA if word in ('DATA', '...') else (word,))
        ]
        found.append(Command(page.name, line, tuple(filled)))
      else:
        others.append(f'{page.name}: {line}')
  return found, others


def find_code() -> Iterator[tuple[str, str]]:
  """(page, code) of fences of Python."""
  for page in PAGES:
    for _, tag, text in _FENCE.findall(page.read_text()):
      if tag == 'python':
        yield page.name, text


def _lines(text):
  """What is typed: lines of untagged fences, and whole commands in the text."""
  for indent, tag, block in _FENCE.findall(text):
    if not tag:
      joined = block.replace('\\\n', ' ')
      for line in joined.splitlines():
        line = line.removeprefix(indent)
        yield from (' '.join(each.split()) for each in line.split(' && '))
  yield from _INLINE.findall(_FENCE.sub('', text))


def fill(
  words: tuple[str, ...],
  *,
  scans: pathlib.Path,
  run: pathlib.Path,
  imported: pathlib.Path,
  packed: pathlib.Path,
  planned: pathlib.Path,
  new: pathlib.Path,
) -> list[str]:
  """The words with placeholders replaced.

  Args:
    words: of a command.
    scans: folder of what `SOURCES` names.
    run: a workdir with a checkpoint.
    imported: one that --mode=import has made.
    packed: what `PACKED` is when it is there already.
    planned: likewise of `PLANNED`.
    new: an empty folder, for what is written.

  Raises:
    KeyError: for a placeholder that is in no table.
  """
  trains = not any(
    word.startswith('--mode=') and word not in _BEGIN for word in words
  )
  kept = dict.fromkeys(RUNS, run) | {
    IMPORTED: imported,
    PACKED: packed,
    GIVEN: ROOT / GIVEN,
  }
  return [
    f'--config={planned}'
    if word == f'--config={PLANNED}'
    else _fill(word, trains, scans, kept, new)
    for word in words
  ]


def _fill(word, trains, scans, kept, new):
  flag, equals, value = word.partition('=')
  name = flag.lstrip('-')
  if name == 'workdir':
    first, *others = value.split(',')
    if not {first, *others} <= kept.keys():
      raise KeyError(value)
    # Of other names: a page that compares runs tells them apart by name.
    copies = [new / f'copy{number}' for number in range(len(others))]
    places = [kept[first], *copies]
    if trains:
      places = [new / 'run']
    return f'--workdir={",".join(map(str, places))}'
  if name == 'config.start_from':
    return f'{flag}={kept[value]}'
  if name == 'target':
    return f'{flag}={new / TARGETS[value]}'
  if name in _PLACES:
    return f'{flag}={scans / SOURCES[value]}'
  assert equals or name in ('preview', 'overwrite', 'deidentify'), word
  return word
