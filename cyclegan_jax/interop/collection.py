"""The networks of a model, out of the file or the folder that they are in."""

from collections.abc import Iterator
import dataclasses
import hashlib
import pathlib
from typing import NamedTuple

from cyclegan_jax import errors
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.interop import layout
from cyclegan_jax.interop import names
from cyclegan_jax.interop import recognise
from cyclegan_jax.interop import weights

GENERATORS = ('gen_ab', 'gen_ba')
_DISCRIMINATORS = ('disc_a', 'disc_b')


class Network(NamedTuple):
  """One of the four.

  Attributes:
    place: where it was found, for people.
    kind: what it is in the reference.
    params: ours.
    digest: of its file.
  """

  place: str
  kind: layout.Description
  params: dict
  digest: str


def collect(source: pathlib.Path) -> dict[str, Network]:
  """The networks of a file or a folder, by our names.

  Raises:
    UserError: if one cannot be read or is another network, or there is no
      generator.
  """
  if source.is_dir():
    paths = names.find_files(source, weights.SUFFIXES)
    loaded = {}
    for called, path in paths.items():
      tensors = weights.read(path)
      if len(tensors) > 1:
        raise errors.UserError(
          f'{path} holds several networks: name it alone, --source={path}'
        )
      loaded[called] = next(iter(tensors.values()))
  else:
    loaded = weights.read(source)
    if list(loaded) == ['']:
      loaded = {names.read_stem(source): loaded['']}
    paths = dict.fromkeys(loaded, source)
  try:
    assigned = names.assign(loaded)
  except ValueError as error:
    raise errors.UserError(f'--source={source}: {error}') from None
  found = {}
  for ours in state_lib.NETWORKS:
    if ours in assigned:
      called = assigned[ours]
      place = f'{paths[called]}' + f' ({called})' * (paths[called] == source)
      place = place.removesuffix(' ()')
      found[ours] = _recognise(loaded[called], place, paths[called])
  _check_generators(source, found)
  return found


def _recognise(tensors, place, path):
  kind, own = recognise.recognise(tensors, place)
  with path.open('rb') as file:
    digest = hashlib.file_digest(file, 'sha256').hexdigest()
  return Network(place, kind, layout.to_params(kind, own), digest)


def _check_generators(source, found):
  """Refuses a source in which generators are none, or are not alike."""
  for name, network in found.items():
    if (network.kind.kind == 'patches') != (name in _DISCRIMINATORS):
      told = 'generator' if name in _DISCRIMINATORS else 'discriminator'
      raise errors.UserError(
        f'{network.place} is a {told}; name a file of a generator, or the '
        'folder of all'
      )
  generators = [found[n] for n in GENERATORS if n in found]
  if not generators:
    raise errors.UserError(f'--source={source} holds no generator; name one')
  first, last = generators[0], generators[-1]
  if first.kind != last.kind:
    told = ', '.join(
      f'{field.name} {old} and {new}'
      for field in dataclasses.fields(layout.Description)
      if (old := getattr(first.kind, field.name))
      != (new := getattr(last.kind, field.name))
    )
    raise errors.UserError(
      f'{first.place} and {last.place} are different networks ({told}): import '
      'each alone'
    )


def leave_out(found: dict[str, Network]) -> Iterator[str]:
  """Takes away discriminators that nothing here can use; says why.

  Args:
    found: from `collect`; changed.
  """
  own = {name: found[name] for name in _DISCRIMINATORS if name in found}
  if not own:
    return
  kinds = {network.kind for network in own.values()}
  first = next(iter(kinds))
  channels = next(iter(found.values())).kind.channels
  if first.norm == 'batch':
    why = 'their normalisations are over batches'
  elif len(own) < 2 or len(kinds) > 1:
    why = 'there are not two of a kind'
  elif first.channels != channels:
    why = f'they judge images of {first.channels} channels, not of {channels}'
  else:
    return
  for name in own:
    del found[name]
  yield f'note: the discriminators are left out: {why}'
