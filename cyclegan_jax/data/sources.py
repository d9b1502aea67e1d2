"""What a run learns from and is scored on: scans, or simulated heads."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import filecmp
import pathlib

from cyclegan_jax import console
from cyclegan_jax import errors
from cyclegan_jax.data import cache as cache_lib
from cyclegan_jax.data import held_out as held_out_lib
from cyclegan_jax.data import phantom
from cyclegan_jax.data import slices
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import patients
from cyclegan_jax.mri import scans
from cyclegan_jax.mri.formats import dispatch

NAMES = ('train_a', 'train_b', 'test_a', 'test_b')


@dataclasses.dataclass(frozen=True)
class Data:
  """What a run trains on and is scored on.

  Attributes:
    train: usable slices by domain, 'a' and 'b'.
    pairs: held-out slices by domain, under the same names; None without any.
    simulated: whether these are the embedded heads.
    patients: marks of those trained on, `patients.mark`: a checkpoint names
      nobody.
  """

  train: dict[str, slices.SliceSet]
  pairs: dict[str, slices.SliceSet] | None
  simulated: bool
  patients: dict

  def fingerprints(self) -> dict[str, str]:
    return {domain: each.fingerprint() for domain, each in self.train.items()}

  def named_fingerprints(self) -> dict[str, str]:
    """Of the held-out slices too, by the fields that name them."""
    named = {f'data.train_{domain}': x for domain, x in self.train.items()}
    if self.pairs:
      named |= {f'data.test_{domain}': x for domain, x in self.pairs.items()}
    return {name: each.fingerprint() for name, each in named.items()}

  def intensities(self) -> dict[str, intensity.Intensities]:
    """Of each domain what its scans typically hold."""
    return {domain: each.intensities() for domain, each in self.train.items()}


def open_data(
  chosen: Mapping[str, str],
  settings: Mapping[str, framing.SliceSettings],
  *,
  cache: pathlib.Path,
  min_foreground: float,
  slice_range: tuple[float, float],
  simulated: bool,
  channels: int = 1,
) -> Data:
  """Opens scans: decoded on first use, and kept for later runs.

  Args:
    chosen: by `NAMES`, folders, files or patterns; test sources may be missing.
    settings: by `NAMES`, how they become slices.
    cache: folder of what has been decoded.
    min_foreground: slices of which a head fills less are left out of training.
    slice_range: what part of every volume to train on, shares along its plane.
    simulated: whether these are the embedded heads.
    channels: that generators take, as in `mri.channels`.

  Raises:
    UserError: for folders and files that cannot be used.
  """

  def note(line):
    console.say(f'note: {line}')

  found = {
    name: scans.find_scans(source, warn=note) for name, source in chosen.items()
  }
  if not simulated:
    copied = find_copied(found['train_a'], found['train_b'])
    if copied:
      raise errors.UserError(
        f'data.train_a and data.train_b hold the same scans, such as {copied}: '
        'name a folder of each contrast'
      )
    patients.check_patients(found, warn=console.say)

  def open_source(name, found, *, centers=None):
    return slices.open_slices(
      chosen[name],
      found,
      settings[name],
      cache=cache,
      centers=centers,
      channels=channels,
      report=console.report_progress(f'reading data.{name}'),
      warn=note,
    )

  train = {
    name[-1]: slices.select(
      open_source(name, found[name]),
      min_foreground=min_foreground,
      slice_range=slice_range,
    )
    for name in ('train_a', 'train_b')
  }
  held_out = None
  if 'test_a' in found:
    held_out = held_out_lib.open_pairs(
      found['test_a'], found['test_b'], open_source, warn=console.say
    )
  return Data(
    train=train,
    pairs=held_out,
    simulated=simulated,
    patients=patients.mark([*found['train_a'], *found['train_b']]),
  )


def find_copied(
  first: Sequence[dispatch.Scan], second: Sequence[dispatch.Scan]
) -> pathlib.Path | None:
  """A file of two sources that hold the same, also as copies of other names.

  None if they differ in any.
  """
  paths = [path for scan in first for path in scan.paths]
  others: dict[int, list[pathlib.Path]] = {}
  for path in (path for scan in second for path in scan.paths):
    others.setdefault(_size_of(path), []).append(path)
  if sum(map(len, others.values())) != len(paths):
    return None
  for path in paths:  # the first without a copy ends it, most often at once
    alike = others.get(_size_of(path), [])
    copy = next((each for each in alike if _are_same(path, each)), None)
    if not copy:
      return None
    alike.remove(copy)
  return paths[0]


def _are_same(path, other):
  try:
    return filecmp.cmp(path, other, shallow=False)
  except OSError:  # told when it is read
    return False


def _size_of(path):
  try:
    return path.stat().st_size
  except OSError:
    return -1


def make_phantom(
  cache: pathlib.Path,
  *,
  image_size: int,
  seed: int,
  sequences: Mapping[str, Sequence[float]],
  **sizes: int,
) -> dict[str, str]:
  """Folders of the simulated heads by `NAMES`, made if they are not there.

  Args:
    cache: where they are kept.
    image_size: as in `phantom.make_dataset`.
    seed: likewise.
    sequences: likewise, by domain.
    **sizes: likewise.
  """
  key = '-'.join(map(str, [image_size, seed, *sizes.values()]))
  scanned = {domain: tuple(x) for domain, x in sequences.items()}
  if scanned != phantom.DEFAULTS:
    key += f'-{cache_lib.hash_text(scanned)[:8]}'
  root = cache / f'phantom-{phantom.VERSION}-{key}'
  console.say(f'simulated heads (not real patients): {root}')
  phantom.make_dataset(
    root,
    image_size=image_size,
    seed=seed,
    report=console.report_progress('simulating people'),
    scanned=scanned,
    **sizes,
  )
  return {name: str(root / name) for name in NAMES}
