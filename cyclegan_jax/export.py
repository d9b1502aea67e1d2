"""A generator for other programs: StableHLO, ONNX, PyTorch."""

import dataclasses
import json
import pathlib

from cyclegan_jax import build
from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax import files
from cyclegan_jax import source as source_lib
from cyclegan_jax import stored_config
from cyclegan_jax import version
from cyclegan_jax.inference import translation
from cyclegan_jax.interop import formats
from cyclegan_jax.interop import verification
from cyclegan_jax.mri import channels
from cyclegan_jax.runtime import kept


def export(
  workdir: str,
  *,
  format: str,
  direction: str,
  target: str,
  checkpoint: str = 'newest',
  overwrite: bool = False,
):
  """Writes one generator to a file, and beside it what is to be known of it.

  The file is there only once it has been found to compute what the network
  does; `target.json` holds the metadata.

  Args:
    workdir: of the run, or a file of `--mode=pack`.
    format: of `formats.FORMATS`.
    direction: 'ab' or 'ba'.
    target: the file, as `formats.check` and `checks.check_new_file` passed it.
    checkpoint: 'newest', 'best' as judged without pairs, or a step.
    overwrite: whether a file that exists is replaced; `checks` has seen to it.

  Raises:
    UserError: if there is no such checkpoint, or it is damaged, or the format
      has no such network.
    errors.Unfaithful: if the file would compute something else.
  """
  del overwrite
  source = source_lib.open_source(kept.find(workdir, checkpoint))
  config = stored_config.read(source.meta.config)
  network = build.networks(config)['generator']
  known, module = formats.FORMATS[format], formats.open_module(format)
  asked = module.describe(network)
  params = source_lib.read_generator(
    source, direction, build.generator_shapes(config)
  )
  metadata = describe(source, network, direction, known.layout) | asked
  path = pathlib.Path(target)
  with files.replace_file(path) as partial:
    module.write(partial, network, params, metadata)
    translate = module.load(partial, network)
    difference = verification.measure_difference(translate, network, params)
    if not difference <= known.tolerance:  # or it is no number
      raise errors.Unfaithful(
        f'{target} is not written: as {format} the generator {direction} of '
        f'{workdir} would give images that differ by {difference:.2g} of a '
        f'range of 2, more than {known.tolerance:g}; try another --format'
      )
    size = console.format_size(partial.stat().st_size)
    files.write_json(name_sidecar(path), {'format': format} | metadata)
  console.say(
    f'{target}: {metadata["source_contrast"]} to '
    f'{metadata["target_contrast"]}, step {source.meta.step} of {workdir}, '
    f'{size}; differs from its network by {difference:.1g} at most, of a range '
    f'of 2; what it takes and gives: {name_sidecar(path)}'
  )


def name_sidecar(target: pathlib.Path) -> pathlib.Path:
  """Where the metadata of an exported file are."""
  return target.with_name(f'{target.name}.json')


def describe(
  source: source_lib.Source, network, direction: str, layout: str
) -> dict[str, str]:
  """What is to be known of a generator to use it, as words for words.

  Args:
    source: that has it.
    network: the module.
    direction: 'ab' or 'ba'.
    layout: of images in the file.
  """
  meta = source.meta
  names = dict(zip('ab', meta.config['domains'], strict=True))
  multiple = 2**network.halvings
  start, end = direction
  scalings = {
    side: json.dumps(
      {
        'picture': meta.intensities[domain].pictures,
        'known': bool(meta.intensities[domain].quantiles),
      }
      | dataclasses.asdict(meta.intensities[domain].scaling)
    )
    for side, domain in (('source', start), ('target', end))
  }
  taken, made = (
    f'float32 {layout} in [-1, 1], C = {count}'
    for count in (network.inputs, network.channels)
  )
  if network.inputs == channels.LEVELLED:
    taken += (
      ', gray and the level of the slice: 0 at the widest slice of the head, 1 '
      'where it ends in the direction of later ones, -1 of earlier ones'
    )
  return {
    'notice': translation.NOTICE,
    'software': version.SOFTWARE,
    'run': source.run,
    'checkpoint': str(meta.step),
    'network': type(network).__name__,
    'domains': json.dumps(list(names.values())),
    'direction': direction,
    'source_contrast': names[start],
    'target_contrast': names[end],
    'source_intensity': scalings['source'],
    'target_intensity': scalings['target'],
    'spacing_mm': 'not known of pictures'
    if meta.intensities[start].pictures
    else str(meta.config['data']['spacing']),
    'size_multiple': str(multiple),
    'input': f'images: {taken}; H and W are multiples of {multiple}',
    'output': f'translated: {made}, of the height and width of the input',
  }
