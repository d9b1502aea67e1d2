"""Which recipe translates best, on scans of people it has not seen.

  python -m benchmarks.quality --train_a=DIR --train_b=DIR \
      --test_a=DIR --test_b=DIR --epochs=10 --set=image_size=128

Every recipe is trained by the real command line for the same number of epochs,
so on as many images, with each seed, and scored on the test scans; a run that
is there goes on or is scored again. Writes to --folder, beside the runs, what
it prints as table.md, and table.json: every run's changes, cost and scores.

Choose among recipes with scans of the training people as test scans (training
makes no use of their pairs): then the people of the last test stay unseen.

A recipe is a config and what is changed in it. `--set` changes fields in all:
smaller networks, fewer pixels.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import time

from absl import app
from absl import flags
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from benchmarks import turns
from cyclegan_jax.evaluation import scores as scores_lib

_ROOT = pathlib.Path(__file__).parent.parent
_BEST = 'configs/t1t2_best.py'
RECIPES = {
  'article': ('configs/t1t2.py', {}),
  'CycleGAN code': ('configs/t1t2_resnet.py', {}),
  'best': (_BEST, {}),
  'without contrast map': (_BEST, {'generator.contrast_map': False}),
  'without averages': (_BEST, {'ema_decay': 0.0}),
  'identity 5': (_BEST, {'loss.identity': 5.0}),
  'cycle 1': (_BEST, {'loss.cycle': 1.0}),
  'cycle 10': (_BEST, {'loss.cycle': 10.0}),
  'rate 4e-4': (_BEST, {'optimizer.learning_rate': 4e-4}),
  'pool of 50': (_BEST, {'pool_size': 50}),
  'bce': (_BEST, {'loss.kind': 'bce'}),
  'patches of 34': (_BEST, {'discriminator.layers': 2}),
}

_TRAIN_A = flags.DEFINE_string('train_a', '', 'Scans; empty: simulated heads.')
_TRAIN_B = flags.DEFINE_string('train_b', '', 'Likewise of domain b.')
_TEST_A = flags.DEFINE_string('test_a', '', 'Pairs by which to score.')
_TEST_B = flags.DEFINE_string('test_b', '', 'Likewise of domain b.')
_FOLDER = flags.DEFINE_string('folder', 'runs/quality', 'Where to write.')
_ONLY = flags.DEFINE_multi_string('only', list(RECIPES), 'Recipes.')
_SEEDS = flags.DEFINE_list('seeds', ['0'], 'One run of each recipe a seed.')
_EPOCHS = flags.DEFINE_integer('epochs', 10, 'Of each run; half of it decay.')
_SET = flags.DEFINE_multi_string('set', [], 'FIELD=VALUE of every config.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  unknown = set(_ONLY.value) - set(RECIPES)
  if unknown:
    raise app.UsageError(f'--only={min(unknown)}: one of {", ".join(RECIPES)}')
  machine = turns.describe_machine('jax', 'flax', 'optax')
  print(machine)
  folder = pathlib.Path(_FOLDER.value).absolute()
  runs = []
  for name in _ONLY.value:
    for seed in _SEEDS.value:
      workdir = folder / f'{name.replace(" ", "_")}-{seed}'
      fields, seconds = train(name, seed, workdir)
      runs.append(
        {
          'recipe': name,
          'seed': int(seed),
          'config': RECIPES[name][0],
          'changes': fields,
          'seconds': seconds,
          'workdir': workdir.name,
          'scores': score(workdir),
        }
      )
      write(folder, machine, runs)
  draw(folder, runs)
  print((folder / 'table.md').read_text())


def train(name, seed, workdir):
  """Trains a recipe or goes on with it: what was changed, and the seconds."""
  config, changes = RECIPES[name]
  fields = {
    'seed': seed,
    'num_epochs': _EPOCHS.value,
    'decay_epochs': _EPOCHS.value // 2,
    **dict(each.split('=', 1) for each in _SET.value),
    **changes,
  }
  fields |= {'data.train_a': _TRAIN_A.value, 'data.train_b': _TRAIN_B.value}
  begin = time.perf_counter()
  launch(
    f'--config={config}',
    f'--workdir={workdir}',
    *(f'--config.{field}={value}' for field, value in fields.items()),
  )
  return fields, time.perf_counter() - begin


def score(workdir):
  """The evaluation of a run, by direction and method: [dB, SSIM]."""
  sources = []
  if _TEST_A.value:
    sources = [f'--source_a={_TEST_A.value}', f'--source_b={_TEST_B.value}']
  launch('--mode=evaluate', f'--workdir={workdir}', *sources)
  report = json.loads((workdir / 'evaluation.json').read_text())
  methods = {
    direction: {'translation': report[direction]}
    | report[direction]['references']
    for direction in ('ab', 'ba')
  }
  return {
    direction: {
      method: [each['psnr']['mean'], each['ssim']['mean']]
      for method, each in found.items()
    }
    for direction, found in methods.items()
  }


def launch(*arguments):
  command = [sys.executable, 'launch.py', *arguments]
  subprocess.run(command, cwd=_ROOT, check=True)


def write(folder, machine, runs):
  """table.json and table.md: references, then recipes, medians over seeds."""
  (folder / 'table.json').write_text(
    json.dumps({'machine': machine, 'runs': runs}, indent=2)
  )
  lines = [
    '| method | a to b | b to a | minutes |',
    '| --- | --- | --- | --- |',
  ]

  def add(title, scores, seconds=None):
    cells = [
      ' / '.join(
        f'{statistics.median(each[direction][i] for each in scores):.{digits}f}'
        for i, digits in enumerate((1, 2))
      )
      for direction in ('ab', 'ba')
    ]
    minutes = f'{statistics.median(seconds) / 60:.0f}' if seconds else ''
    lines.append(f'| {title} | {cells[0]} | {cells[1]} | {minutes} |')

  first = runs[0]['scores']
  for method, title in scores_lib.METHODS.items():
    if method != 'translation':
      add(title, [{each: first[each][method] for each in first}])
  for name in dict.fromkeys(run['recipe'] for run in runs):
    same = [run for run in runs if run['recipe'] == name]
    scores = [
      {each: run['scores'][each]['translation'] for each in run['scores']}
      for run in same
    ]
    add(name, scores, [run['seconds'] for run in same])
  (folder / 'table.md').write_text('\n'.join(lines) + '\n')


def draw(folder, runs):
  """picture.png: what --mode=evaluate has drawn of a run of each recipe."""
  pictures = {}
  for run in runs:
    path = folder / run['workdir'] / 'evaluation_ab.png'
    pictures.setdefault(run['recipe'], Image.open(path))
  height = 30 + max(each.height for each in pictures.values())
  width = sum(each.width for each in pictures.values())
  page = Image.new('RGB', (width, height), 'black')
  pen, left = ImageDraw.Draw(page), 0
  for recipe, picture in pictures.items():
    pen.text((left + 10, 6), recipe, 'white', ImageFont.load_default(18))
    page.paste(picture, (left, 30))
    left += picture.width
  page.save(folder / 'picture.png')


if __name__ == '__main__':
  app.run(main)
