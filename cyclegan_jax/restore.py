"""What a run has learnt, brought back from its checkpoint to be used."""

from collections.abc import Sequence
import pathlib

import jax
import jax.numpy as jnp

from cyclegan_jax import build
from cyclegan_jax import meta as meta_lib
from cyclegan_jax import stored_config
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.inference import translation
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import devices


def read_meta(path: pathlib.Path) -> meta_lib.Meta:
  """What the checkpoint in a folder says of its run."""
  return meta_lib.Meta.from_json(checkpoint.read_meta(path), path)


def load_translators(
  path: pathlib.Path, directions: Sequence[str] = ('ab', 'ba')
) -> dict[str, translation.Translator]:
  """The generators of a run.

  Args:
    path: of its checkpoint; nothing else is needed.
    directions: which of 'ab' and 'ba'.

  Raises:
    UserError: if it is of an older version.
  """
  meta = read_meta(path)
  config = stored_config.read(meta.config)
  build.keep_compiled(config)
  module = build.networks(config)['generator']
  settings = {domain: build.slice_settings(config, domain) for domain in 'ab'}
  image = jnp.zeros((1, config.image_size, config.image_size, 1))
  like = jax.eval_shape(module.init, jax.random.key(0), image)['params']
  translators = {}
  for direction in directions:
    source, target = direction
    name = f'gen_{direction}'
    params = checkpoint.read_params(
      path, (state_lib.average_of(name), name), like
    )
    translators[direction] = translation.Translator(
      generate=_compile(module, params),
      devices=jax.local_device_count(),
      direction=direction,
      domains=(build.names(config)[source], build.names(config)[target]),
      multiple=2**module.halvings,
      settings=(settings[source], settings[target]),
      intensities=(meta.intensities[source], meta.intensities[target]),
      step=meta.step,
      run=path.resolve().parents[1].name,
      network=config.generator.network,
    )
  return translators


def _compile(module, params):
  def apply(params, images):
    return module.apply({'params': params}, images)

  return devices.map_images(apply, params)
