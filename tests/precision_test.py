"""What is promised of float32, as it is lowered for accelerators.

A CPU computes float32 whatever is said, so that numbers would show nothing.
"""

import re

import jax
import jax.numpy as jnp
import pytest

from configs import smoke
from cyclegan_jax import build
from cyclegan_jax import restore
from cyclegan_jax.gan import translations
from cyclegan_jax.networks import generators
from cyclegan_jax.runtime import devices

_PRODUCT = re.compile(r'stablehlo\.(?:convolution|dot_general)\b')


def list_precisions(function, *args):
  """Of all convolutions and products of matrices: 'DEFAULT' or what is told."""
  lines = jax.jit(function).lower(*args).as_text().splitlines()
  products = [line for line in lines if _PRODUCT.search(line)]
  assert products
  found = [re.findall(r'\b(DEFAULT|HIGH|HIGHEST)\b', x) for x in products]
  return {name for each in found for name in each or ['DEFAULT']}


@pytest.fixture(scope='module')
def run():
  """(config, state, batch) of a tiny run, shapes alone."""
  config = smoke.get_config()
  make = build.create_state(
    config, build.networks(config), build.schedule(config, steps_per_epoch=4)
  )
  side = config.image_size
  image = jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32)
  return config, jax.eval_shape(make), {'a': image, 'b': image}


@pytest.mark.parametrize('kind', ['default', 'high', 'highest'])
def test_training_is_computed_as_the_config_says(run, kind):
  config, state, batch = run
  config.precision = kind
  step = build.train_step(config)
  assert list_precisions(step, state, batch, jax.random.key(0)) == {
    kind.upper()
  }


def test_what_is_scored_in_training_is_float32(run):
  _, state, batch = run
  assert list_precisions(translations.reconstruct, state, batch) == {'HIGHEST'}


def test_translation_is_float32(monkeypatch):
  monkeypatch.setattr(devices, 'map_images', lambda apply, params: apply)
  module = generators.ResNet(features=2, blocks=1)
  images = jnp.zeros((1, 16, 16, 1))
  params = jax.eval_shape(module.init, jax.random.key(0), images)['params']
  apply = restore._compile(module, params)
  assert list_precisions(apply, params, images) == {'HIGHEST'}
