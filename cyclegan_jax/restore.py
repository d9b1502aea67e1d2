"""What a run has learnt, brought back from its checkpoint to be used."""

from collections.abc import Sequence
import pathlib

import jax

from cyclegan_jax import build
from cyclegan_jax import compilation
from cyclegan_jax import inputs
from cyclegan_jax import meta as meta_lib
from cyclegan_jax import precision
from cyclegan_jax import source as source_lib
from cyclegan_jax import stored_config
from cyclegan_jax.inference import translation
from cyclegan_jax.runtime import devices


def read_meta(path: pathlib.Path) -> meta_lib.Meta:
  """What a checkpoint, or what was packed of one, says of its run."""
  return source_lib.open_source(path).meta


def load_translators(
  path: pathlib.Path, directions: Sequence[str] = ('ab', 'ba')
) -> dict[str, translation.Translator]:
  """The generators of a run.

  Args:
    path: of its checkpoint or of what was packed of it; nothing else is needed.
    directions: which of 'ab' and 'ba'.

  Raises:
    UserError: if it is damaged, or of an older version.
  """
  found = source_lib.open_source(path)
  meta = found.meta
  config = stored_config.read(meta.config)
  compilation.keep(config)
  module = build.networks(config)['generator']
  settings = {domain: inputs.slice_settings(config, domain) for domain in 'ab'}
  like = build.generator_shapes(config)
  translators = {}
  for direction in directions:
    source, target = direction
    params = source_lib.read_generator(found, direction, like)
    translators[direction] = translation.Translator(
      generate=_compile(module, params),
      devices=jax.local_device_count(),
      direction=direction,
      domains=(build.names(config)[source], build.names(config)[target]),
      multiple=2**module.halvings,
      settings=(settings[source], settings[target]),
      intensities=(meta.intensities[source], meta.intensities[target]),
      step=meta.step,
      run=found.run,
      network=config.generator.network,
      channels=stored_config.input_channels(config),
    )
  return translators


def _compile(module, params):
  def apply(params, images):
    # In float32 on every device: see `precision.exactly`.
    with precision.exactly():
      return module.apply({'params': params}, images)

  return devices.map_images(apply, params)
