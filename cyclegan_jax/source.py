"""What a run has learnt, wherever it lies: in a checkpoint, or handed on."""

import pathlib
from typing import Any
from typing import NamedTuple

from flax import traverse_util

from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import meta as meta_lib
from cyclegan_jax import rules
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.runtime import checkpoint
from cyclegan_jax.runtime import digests
from cyclegan_jax.runtime import packed


class Source(NamedTuple):
  """A checkpoint, or what `--mode=pack` made of one.

  Attributes:
    path: its folder, or the file.
    run: what the run is called.
    meta: what is said of it.
  """

  path: pathlib.Path
  run: str
  meta: meta_lib.Meta

  @property
  def is_packed(self) -> bool:
    """Whether there are generators and nothing else."""
    return self.path.is_file()

  @property
  def networks(self) -> tuple[str, ...]:
    """Which of the four there are."""
    if self.is_packed:
      return tuple(f'gen_{each}' for each in self.meta.directions())
    imported = self.meta.imported
    return state_lib.NETWORKS if imported is None else tuple(imported)


def open_source(path: pathlib.Path) -> Source:
  """What `kept.find` has found.

  Raises:
    UserError: if it is damaged, or of an older version.
  """
  if not path.is_file():
    meta = meta_lib.Meta.from_json(checkpoint.read_meta(path), path)
    return Source(path, path.resolve().parents[1].name, meta)
  fields = packed.read_meta(path)
  meta = meta_lib.Meta.from_json(fields, path)
  try:  # a file comes from anywhere
    rules.check_values(checks.flatten(meta.config))
  except (errors.UserError, KeyError, TypeError) as error:
    raise errors.UserError(f'{path} describes no model: {error}') from None
  return Source(path, fields['run'], meta)


def read_generator(source: Source, direction: str, like: Any) -> Any:
  """The parameters that translate: averages where the run kept any.

  Args:
    source: that has them.
    direction: 'ab' or 'ba'.
    like: a tree of shapes and types.

  Returns:
    The tree, of NumPy arrays.

  Raises:
    UserError: if they are damaged, of other networks, or not there.
  """
  name = f'gen_{direction}'
  if name not in source.networks:
    a, b = source.meta.config['domains']
    (there,) = source.meta.directions()
    told = f'{a} to {b}' if there == 'ab' else f'{b} to {a}'
    raise errors.UserError(
      f'{source.run} was imported with one generator, which translates {told} '
      f'({there}): it has none for {direction}'
    )
  if source.is_packed:
    flat = flatten(like)
    return traverse_util.unflatten_dict(
      packed.read_arrays(source.path, name, flat), sep='/'
    )
  names = (state_lib.average_of(name), name)
  return checkpoint.read_params(source.path, names, like)


def flatten(tree: Any) -> dict[str, Any]:
  """The leaves of a tree of parameters by name, as in digests."""
  return traverse_util.flatten_dict(tree, sep='/')


def digest(params: Any) -> str:
  """One digest of a network: the same for a run and for what is packed of it.

  Args:
    params: a tree of NumPy arrays.
  """
  return digests.of_json(
    {name: digests.of_array(each) for name, each in flatten(params).items()}
  )
