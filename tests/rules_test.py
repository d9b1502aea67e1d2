"""The table of what values are allowed, against the config and its readers."""

import dataclasses
import importlib
import math
import pathlib
import re

import pytest

from configs import default
from cyclegan_jax import build
from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import precision
from cyclegan_jax import rules
from cyclegan_jax.contrast import fit
from cyclegan_jax.gan import losses
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import volume
from cyclegan_jax.networks import generators
from cyclegan_jax.runtime import devices

_CONFIGS = pathlib.Path(default.__file__).parent
# Whatever they are: paths, and truth values, which have a type and no range.
_FREE = {
  'compile_cache',
  'start_from',
  'data.train_a',
  'data.train_b',
  'data.test_a',
  'data.test_b',
  'data.cache',
}


@pytest.fixture
def fields():
  """Those of both kinds of generator."""
  fields = checks.flatten(default.get_config().to_dict())
  return checks.flatten({'generator': default.resnet().to_dict()}) | fields


@pytest.fixture
def unet():
  return checks.flatten(default.get_config().to_dict())


def test_every_field_has_a_rule(fields):
  truths = {name for name, value in fields.items() if isinstance(value, bool)}
  assert set(rules.RULES) == set(fields) - truths - _FREE


def test_rules_are_in_the_order_of_the_defaults():
  """So that of two mistakes the same one is always told first."""
  text = pathlib.Path(default.__file__).read_text()
  places = [
    re.search(rf'\n  (config\.{name}|generator\.{end}) = ', text).start()
    for name, end in (
      (name, name.removeprefix('generator.')) for name in rules.RULES
    )
    if not name.startswith('generator.')
  ]
  assert places == sorted(places)


@pytest.mark.parametrize(
  'name', sorted(path.stem for path in _CONFIGS.glob('[!_]*.py'))
)
def test_every_recipe_keeps_to_the_rules(name):
  config = importlib.import_module(f'configs.{name}').get_config()
  rules.check_values(checks.flatten(config.to_dict()))


def test_a_number_must_be_one(unet):
  rules.check_values(unet)
  floats = [name for name, value in unet.items() if type(value) is float]
  assert 'generator.leak' in floats and 'discriminator.leak' in floats
  for name in floats:
    for value in (math.nan, math.inf, -math.inf):
      with pytest.raises(errors.UserError, match=f'--config.{name}={value}: '):
        rules.check_values(unet | {name: value})


def test_the_first_of_two_mistakes_is_told(unet):
  wrong = {'loss.cycle': -1.0, 'seed': -1, 'batch_size': 0}
  with pytest.raises(errors.UserError, match='--config.seed=-1'):
    rules.check_values(unet | wrong)


def test_a_batch_is_refused_that_no_memory_holds(unet):
  sizes = {'image_size': 8192, 'batch_size': 1000, 'data.train_a': 'scans'}
  with pytest.raises(errors.UserError, match='at most 128 with images of 8192'):
    rules.check_values(unet | sizes)


def test_heads_are_not_simulated_without_end(unet):
  with pytest.raises(errors.UserError, match='at most 1,024 with the simul'):
    rules.check_values(unet | {'image_size': 2048})


@pytest.mark.parametrize(
  'field,choices',
  [
    ('parallel', devices.KINDS),
    ('loss.kind', losses.KINDS),
    ('data.intensity_a', intensity.KINDS),
    ('data.planes', tuple(volume.PLANES)),
    ('generator.network', tuple(build.GENERATORS)),
    ('generator.norm', generators.NORMS),
    ('generator.contrast_look', fit.LOOKS),
    ('precision', precision.KINDS),
  ],
)
def test_choices_are_those_of_who_owns_them(field, choices):
  assert rules.RULES[field].choices == choices


def test_a_folded_generator_is_not_trained():
  for section in (default.unet(), default.resnet()):
    rules.check_trainable(section)
    section.norm = 'folded'
    with pytest.raises(errors.UserError, match='cannot be trained on; train'):
      rules.check_trainable(section)


@pytest.mark.parametrize('section', ['unet', 'resnet'])
def test_an_older_run_is_completed_as_it_was(section):
  now = default.get_config().to_dict()
  now |= {'generator': getattr(default, section)().to_dict()}
  added = {'norm', *(['dropout'] * (section == 'resnet'))}
  older = {
    name: value for name, value in now.items() if name != 'start_from'
  } | {
    'generator': {n: x for n, x in now['generator'].items() if n not in added}
  }
  assert rules.complete(older) == now == rules.complete(now)


@pytest.mark.parametrize('name', rules.NETWORKS)
def test_a_network_has_the_fields_and_the_recipe_told(name):
  recipe, fields = rules.NETWORKS[name]
  module = recipe.removesuffix('.py').replace('/', '.')
  generator = importlib.import_module(module).get_config().generator
  assert generator.network == name
  assert {'network', *fields} == set(generator.keys())
  own = {field.name for field in dataclasses.fields(build.GENERATORS[name])}
  start = {'contrast_map', 'contrast_look', 'contrast_learns'}
  assert fields - start <= own


@pytest.mark.parametrize(
  'section,network,message',
  [
    ('unet', 'resnet', 'a resnet has no affine, leak, .*resnet.py$'),
    (
      'resnet',
      'unet',
      'a unet has no blocks, contrast_learns, contrast_look, contrast_map, '
      'reach; .*t1t2.py$',
    ),
    ('unet', 'vae', 'network=vae: it must be one of unet, resnet'),
  ],
)
def test_a_network_is_not_changed_by_its_name_alone(section, network, message):
  """From the command line, and in a config made in Python."""
  config = default.get_config()
  with config.unlocked():
    config.generator = getattr(default, section)()
  config.generator.network = network
  with pytest.raises(errors.UserError, match=message):
    rules.check_values(checks.flatten(config.to_dict()))
  with pytest.raises(errors.UserError, match=message):
    build.networks(config)


def test_a_run_that_is_to_be_repeated_keeps_its_programs(unet):
  rules.check_values(unet | {'deterministic': True})
  with pytest.raises(errors.UserError, match='compile_cache=off: it must be e'):
    rules.check_values(unet | {'deterministic': True, 'compile_cache': 'off'})
