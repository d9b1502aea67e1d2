"""The command line: flags and a table of modes, which import no JAX."""

import functools
import importlib
import os
import pathlib
import sys
import traceback
from typing import Any

from absl import app
from absl import flags
from absl import logging
from ml_collections import config_flags

from cyclegan_jax import checks
from cyclegan_jax import command_line
from cyclegan_jax import errors
from cyclegan_jax import imported_config
from cyclegan_jax import places
from cyclegan_jax import rules
from cyclegan_jax.inference import shares
from cyclegan_jax.interop import formats
from cyclegan_jax.runtime import host
from cyclegan_jax.runtime import signals


def _check_evaluation(given):
  checks.check_inference(given['workdir'], given)
  places.check_home(given['workdir'])


def _check_translation(given):
  shares.choose(given['shard'], os.environ)
  checks.check_inference(given['workdir'], given)
  places.check_target(given['target'])


def _check_export(given):
  checks.check_inference(given['workdir'], given)
  formats.check(given['format'], given['target'])
  checks.check_new_file(
    pathlib.Path(given['target']), overwrite=given['overwrite']
  )


def _check_survey(given):
  places.check_page(given['target'])
  checks.check_training(given['config'], given['workdir'])


def _check_plan(given):
  checks.check_new_file(
    pathlib.Path(given['target']), overwrite=given['overwrite']
  )
  if not given['target'].endswith('.py'):
    raise errors.UserError(
      f'--target={given["target"]}: a recipe is a file of Python, x.py'
    )
  names = given['domains']
  if names is not None and not rules.RULES['domains'].allows(names):
    raise errors.UserError(
      f'--domains={",".join(names)}: it must be two names, such as T1w,T2w'
    )


def _check_report(given):
  places.check_places({'--workdir': given['workdir']})
  places.check_page(given['target'])


_RUN = {'workdir': 'W, the folder of a run or a file of --mode=pack'}
MODES = {
  'train': command_line.Mode(
    entry='cyclegan_jax.train:command',
    help='learns from two folders of scans, or goes on where a run stopped',
    check=lambda given: checks.check_training(
      given['config'], given['workdir']
    ),
    required={'config': '..., such as configs/quickstart.py'},
    optional=('workdir',),
  ),
  'translate': command_line.Mode(
    entry='cyclegan_jax.translate:translate',
    help='makes the other contrast of a scan or a folder of scans',
    check=_check_translation,
    required=_RUN
    | {
      'direction': 'ab, or ba for back',
      'source': 'a scan, or a folder of scans',
      'target': 'a file, or a folder, to write to',
    },
    optional=(
      *('planes', 'volume', 'voxel_type', 'batch_size', 'checkpoint'),
      *('overwrite', 'preview', 'shard', 'deidentify'),
    ),
  ),
  'evaluate': command_line.Mode(
    entry='cyclegan_jax.evaluate:evaluate',
    help='scores a run on scans it was not trained on',
    check=_check_evaluation,
    required=_RUN,
    optional=('source_a', 'source_b', 'volume', 'batch_size', 'checkpoint'),
  ),
  'check': command_line.Mode(
    entry='cyclegan_jax.survey:survey',
    help='looks at the data of a training, and says whether it would start',
    check=_check_survey,
    required={'config': '..., such as configs/t1t2_best.py'},
    optional=('workdir', 'target'),
  ),
  'plan': command_line.Mode(
    entry='cyclegan_jax.planner:plan',
    help='looks at two folders of scans, and writes a recipe for them',
    check=_check_plan,
    required={
      'source_a': 'T1_DIR, scans of one contrast',
      'source_b': 'T2_DIR, scans of the other',
      'target': 'mine.py, the recipe to write',
    },
    optional=('domains', 'overwrite'),
  ),
  'report': command_line.Mode(
    entry='cyclegan_jax.report:report',
    help='shows a run, or several side by side, as a page for a browser',
    check=_check_report,
    required={'workdir': 'W, the folder of a run, or W1,W2 of several'},
    optional=('target',),
  ),
  'list': command_line.Mode(
    entry='cyclegan_jax.listing:list_checkpoints',
    help='shows the checkpoints of a run, and what is known of each',
    check=lambda given: checks.check_inference(given['workdir'], given),
    required=_RUN,
  ),
  'pack': command_line.Mode(
    entry='cyclegan_jax.pack:pack',
    help='writes a model to hand on: what translates, and nothing else',
    check=lambda given: checks.check_pack(given['workdir'], given),
    required=_RUN | {'target': 'model.zip, the file to write'},
    optional=('checkpoint', 'overwrite'),
  ),
  'export': command_line.Mode(
    entry='cyclegan_jax.export:export',
    help='writes one direction of a model for other programs',
    check=_check_export,
    required=_RUN
    | {
      'direction': 'ab, or ba for back',
      'format': f'one of {", ".join(formats.FORMATS)}',
      'target': 'the file to write',
    },
    optional=('checkpoint', 'overwrite'),
  ),
  'import': command_line.Mode(
    entry='cyclegan_jax.importing:import_networks',
    help="makes a workdir of the networks that PyTorch's CycleGAN has trained",
    check=imported_config.check_flags,
    required={
      'workdir': 'W, a new folder',
      'source': 'FOLDER with latest_net_G_A.pth, or a file',
      'domains': 'T1w,T2w, the names of A and B',
      'spacing': '1.0, the millimetres between pixels in training',
      'intensity_a': 'percentile, zscore, minmax or window:LOW,HIGH',
      'intensity_b': 'percentile, zscore, minmax or window:LOW,HIGH',
    },
    optional=('image_size', 'planes'),
  ),
}

config_flags.DEFINE_config_file(
  'config', None, 'A recipe, such as configs/quickstart.py.', lock_config=True
)
_MODE = flags.DEFINE_enum(
  'mode', 'train', list(MODES), command_line.describe(MODES)
)
flags.DEFINE_string(
  'workdir', None, 'Where the run is kept. Default: runs/<config name>.'
)
flags.DEFINE_enum(
  'direction', None, ['ab', 'ba'], 'From domain a to b, or back'
)
flags.DEFINE_enum(
  'format', None, list(formats.FORMATS), 'Of the file of --mode=export'
)
flags.DEFINE_string(
  'source', None, 'A scan, or a folder of scans; networks to import.'
)
flags.DEFINE_string('target', None, 'A file, or a folder, to write to.')
flags.DEFINE_list(
  'planes',
  None,
  'To average over, or that what is imported was trained on: axial,coronal,'
  'sagittal.',
)
flags.DEFINE_integer(
  'volume', -1, 'Which volume of 4-D files, from 0.', lower_bound=-1
)
flags.DEFINE_enum(
  'voxel_type', 'float32', ['float32', 'input'], 'Of the output'
)
flags.DEFINE_integer(
  'batch_size',
  4,
  'Slices at a time on each device.',
  lower_bound=1,
  upper_bound=4096,
)
flags.DEFINE_string(
  'checkpoint', 'newest', 'newest, best (as judged without pairs), or a step.'
)
flags.DEFINE_bool('overwrite', False, 'Replace what exists.')
flags.DEFINE_bool('preview', False, 'Draw every translation in three planes.')
flags.DEFINE_string(
  'shard', None, 'I/N, the share of the scans, I from 0; default: as SLURM says'
)
flags.DEFINE_bool(
  'deidentify', False, 'Leave out of the results who they are of.'
)
flags.DEFINE_string('source_a', None, 'Scans of domain a; default: data.test_a')
flags.DEFINE_string('source_b', None, 'Scans of domain b; default: data.test_b')
flags.DEFINE_list('domains', None, 'What is imported translates: T1w,T2w.')
flags.DEFINE_float(
  'spacing', None, 'Millimetres between the pixels it was trained on.'
)
flags.DEFINE_string(
  'intensity_a', None, 'How intensities of the first became [-1, 1].'
)
flags.DEFINE_string('intensity_b', None, 'Likewise of the second.')
flags.DEFINE_integer('image_size', 256, 'Pixels of a side in training.')


def main(argv):
  del argv
  # Libraries tell every rename, and page-long errors that are told here.
  logging.set_verbosity(logging.FATAL)
  mode = MODES[_MODE.value]
  arguments = {name: flags.FLAGS[name].value for name in mode.flags}
  if 'workdir' in arguments and not arguments['workdir']:
    recipe = config_flags.get_config_filename(flags.FLAGS['config'])
    arguments['workdir'] = os.path.join('runs', pathlib.Path(recipe).stem)
  # A job that is ended by its scheduler leaves nothing half-written either.
  signals.interrupt()
  try:
    mode.check(arguments)
    host.tune()
    module, function = mode.entry.split(':')
    with host.importing():
      verb = getattr(importlib.import_module(module), function)
    verb(**arguments)
  except errors.UserError as error:
    command_line.refuse(error)
  except (*errors.ENDINGS, FloatingPointError) as error:
    command_line.end(error, status=1)
  except BrokenPipeError:  # whoever read what is told has left, as head does
    command_line.leave()
  except KeyboardInterrupt:
    line = 'interrupted; the same command goes on from what is done'
    command_line.end(line, status=1, at_once=True)
  except MemoryError:
    line = 'the machine has too little memory; smaller batches need less'
    command_line.end(line, status=1, at_once=True)
  except Exception as error:  # ours, or a disk's
    line = command_line.explain_disk(error)
    if not line:
      traceback.print_exc()
    command_line.end(line, status=1)


def run(usage: str | None):
  """Does what the command line says, and exits.

  Args:
    usage: what --help begins with.
  """
  main_module: Any = sys.modules['__main__']
  main_module.__doc__ = usage
  for flag in flags.FLAGS.get_flags_for_module(__name__):
    # --help shows those of the program.
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
  app.run(main, flags_parser=functools.partial(command_line.parse, modes=MODES))
