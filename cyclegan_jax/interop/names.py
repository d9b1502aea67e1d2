"""What other programs call the four networks, in files and in names of files.

Ours are named by what they do: `gen_ab` makes b of a, `disc_a` judges images of
a. There are two families of names:

- pytorch-CycleGAN-and-pix2pix has `G_A`, `G_B`, `D_A` and `D_B`, with or
  without `net`. Its G_A makes B of A, and its D_A judges what G_A makes: images
  of **B**. So `D_A` there is our `disc_b`.
- Most others name the direction, `G_A2B` or `G_AB`; then a discriminator is
  named by the domain that it judges: `D_A` is our `disc_a`.

Which family a set of names is of, its generators tell.
"""

from collections.abc import Iterable
import pathlib
import re
from typing import NamedTuple

from cyclegan_jax import errors

_NAME = re.compile(
  r'(?:net)?(?:(g|gen|generator)|(d|dis|disc|discriminator))'
  r'(a2b|b2a|ab|ba|a|b)?'
)
# <epoch>_net_G_A, netG_A2B, G_AB_90, iter_5000_net_G_A
_STEM = re.compile(
  r'(?:(latest|(?:iter_)?\d+)_)?(.+?)(?:_(latest|\d+))?', re.IGNORECASE
)
_ALONE = 'gen_ab'
_MAKERS = ('g', 'netg')  # what the plain names of generators begin with


class Found(NamedTuple):
  """A file of one network in a folder.

  Attributes:
    called: what its name calls the network.
    path: of the file.
    age: sorts those of one network by when they were written.
  """

  called: str
  path: pathlib.Path
  age: tuple[int, int]


def is_network(name: str) -> bool:
  """Whether it is what a program may call one of the networks."""
  return bool(_NAME.fullmatch(_plain(name)))


def assign(called: Iterable[str]) -> dict[str, str]:
  """Which is which of our networks, of a set of names.

  Args:
    called: as the other program calls them.

  Returns:
    What it calls each, by our names. What has no letter makes b of a, as does
    what is alone and has another name.

  Raises:
    ValueError: if two are the same network, or it cannot be told what one is.
  """
  called = list(called)
  parts = {name: _NAME.fullmatch(_plain(name)) for name in called}
  if len(called) == 1 and not parts[called[0]]:
    return {_ALONE: called[0]}
  unknown = [name for name, part in parts.items() if not part]
  if unknown:
    raise ValueError(
      f'it is not known what {unknown[0] or "a network"!r} is; save the '
      'generators alone, as G_A and G_B'
    )
  directed = any(
    part and part[1] and part[3] and len(part[3]) > 1 for part in parts.values()
  )
  ours = {}
  for name, part in parts.items():
    own = _name_ours(bool(part and part[1]), part and part[3], directed)
    if own in ours:
      raise ValueError(
        f'{ours[own]!r} and {name!r} are the same network; take one away'
      )
    ours[own] = name
  return ours


def _name_ours(generates, letters, directed):
  if generates:
    return 'gen_ba' if letters in ('b', 'b2a', 'ba') else _ALONE
  judged = 'b' if letters == 'b' else 'a'
  if not directed:  # the reference's: of whoever makes them
    judged = {'a': 'b', 'b': 'a'}[judged]
  return f'disc_{judged}'


def find_files(
  folder: pathlib.Path, suffixes: tuple[str, ...]
) -> dict[str, pathlib.Path]:
  """The networks of the newest epoch that has all generators of a folder.

  'latest' is the newest, then the highest number.

  Args:
    folder: as another program left it.
    suffixes: of the files, the one to be preferred last.

  Returns:
    Files by what they call their networks.

  Raises:
    UserError: if there is no generator, no epoch of all, or two files are the
      same network.
  """
  try:
    paths = sorted(folder.iterdir())
  except OSError as error:
    raise errors.UserError(
      f'--source={folder} cannot be read: {error.strerror}; name another folder'
    ) from None
  epochs: dict[tuple[int, int], dict[str, pathlib.Path]] = {}
  for suffix in suffixes:
    for path in paths:
      found = _read_name(path) if path.suffix.lower() == suffix else None
      if not found:
        continue
      there = epochs.setdefault(found.age, {}).get(found.called)
      if there and there.suffix.lower() == suffix:
        raise errors.UserError(
          f'{there} and {path} are the same network; take one away'
        )
      epochs[found.age][found.called] = path
  generators = {
    called
    for epoch in epochs.values()
    for called in epoch
    if _plain(called).startswith(_MAKERS)
  }
  if not generators:
    raise errors.UserError(
      f'--source={folder} holds no generator, such as latest_net_G_A.pth or '
      f'netG_A2B.safetensors; name a folder that does, or the file itself'
    )
  whole = [age for age, epoch in epochs.items() if generators <= epoch.keys()]
  if not whole:
    raise errors.UserError(
      f'--source={folder} has no epoch with all of '
      f'{", ".join(sorted(generators))}; name one of the files'
    )
  return epochs[max(whole)]


def read_stem(path: pathlib.Path) -> str:
  """What the name of a file calls the network in it; '' if it says nothing."""
  found = _read_name(path)
  return found.called if found else ''


def _read_name(path):
  match = _STEM.fullmatch(path.stem)
  if not match or not is_network(match[2]):
    return None
  epoch = (match[1] or match[3] or 'latest').lower()
  if epoch == 'latest':
    age = (2, 0)
  else:
    age = (0 if epoch.startswith('iter_') else 1, int(epoch.split('_')[-1]))
  return Found(match[2], path, age)


def _plain(name):
  return name.lower().replace('_', '').replace('-', '')
