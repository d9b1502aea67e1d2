"""What the scans of a source are, before anything is trained on them."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import itertools
import pathlib

import nibabel.affines
import nibabel.orientations
import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.data import cache as cache_lib
from cyclegan_jax.data import records
from cyclegan_jax.data import slices as slices_lib
from cyclegan_jax.mri import canvas
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import scans as scans_lib
from cyclegan_jax.mri.formats import dispatch

_MEASURED = 12  # volumes of a source are read once more, for their heads


@dataclasses.dataclass(frozen=True)
class Entry:
  """A volume, or the pictures of a folder.

  Attributes:
    scans: what it is made of: one, or the pictures.
    known: once decoded; None if it cannot be.
    problem: why not.
    notes: what a person should know of it.
  """

  scans: Sequence[dispatch.Scan]
  known: records.Decoded | None = None
  problem: str = ''
  notes: tuple[str, ...] = ()

  @property
  def name(self) -> str:
    """Of the scan, or of the folder."""
    return slices_lib.group_of(self.scans[0])

  @property
  def patients(self) -> set[str]:
    return {scan.patient for scan in self.scans}

  @property
  def is_pictures(self) -> bool:
    return self.scans[0].is_picture

  @property
  def shape(self) -> tuple[int, ...] | None:
    """Voxels along the file's axes; None of pictures."""
    if not (self.known and self.known.grid):
      return None
    return tuple(int(n) for n in self.known.grid[:3])

  @property
  def affine(self) -> np.ndarray | None:
    """[4, 4], voxel index to mm, RAS+; None of pictures."""
    if not (self.known and self.known.grid):
      return None
    return np.reshape(self.known.grid[3:], (4, 4))

  @property
  def spacing(self) -> tuple[float, ...] | None:
    """mm between voxels along the file's axes."""
    affine = self.affine
    if affine is None:
      return None
    return tuple(nibabel.affines.voxel_sizes(affine).round(2).tolist())

  @property
  def orientation(self) -> str | None:
    """The sides that the file's axes run towards, such as 'LPS'."""
    affine = self.affine
    return (
      None
      if affine is None
      else ''.join(nibabel.orientations.aff2axcodes(affine))
    )

  @property
  def scaling(self) -> intensity.Scaling | None:
    if not (self.known and self.known.intensities):
      return None
    return self.known.intensities.scaling


@dataclasses.dataclass(frozen=True)
class Inventory:
  """What is in one source.

  Attributes:
    field: of the config that names it.
    place: as the user named it.
    entries: what was found, usable or not.
    slices: what would be trained on or scored; None if nothing can be.
    problem: why not.
    left_out: links and folders that were not searched.
  """

  field: str
  place: str
  entries: Sequence[Entry] = ()
  slices: slices_lib.SliceSet | None = None
  problem: str = ''
  left_out: Sequence[str] = ()

  @property
  def scans(self) -> list[dispatch.Scan]:
    return [scan for entry in self.entries for scan in entry.scans]

  @property
  def usable(self) -> list[Entry]:
    return [entry for entry in self.entries if not entry.problem]

  @property
  def refused(self) -> list[Entry]:
    return [entry for entry in self.entries if entry.problem]

  @property
  def patients(self) -> set[str]:
    return set().union(*(entry.patients for entry in self.entries))


def look(
  field: str,
  place: str,
  settings: framing.SliceSettings,
  *,
  cache: pathlib.Path,
  min_foreground: float,
  slice_range: tuple[float, float],
  channels: int = 1,
  report: Callable[[int, int], None],
) -> Inventory:
  """Decodes every scan of a source for itself, as training would.

  What it decodes stays in the cache, for training.

  Args:
    field: of the config that names it, such as 'data.train_a'.
    place: a folder, a file or a pattern.
    settings: how scans become slices.
    cache: folder of what has been decoded.
    min_foreground: slices of which a head fills less are blank.
    slice_range: what part of every volume is used.
    channels: of the networks.
    report: called with the scans done and their number.
  """
  left_out = []
  try:
    found = scans_lib.find_scans(place, warn=left_out.append)
  except errors.UserError as error:
    return Inventory(field, place, problem=str(error))
  found = sorted(found, key=lambda each: (slices_lib.group_of(each), each.name))
  entries, done = [], 0
  for _, group in itertools.groupby(found, key=slices_lib.group_of):
    group = tuple(group)
    report(done, len(found))
    entries.append(_look_at(place, group, settings, cache, channels))
    done += len(group)
  report(done, len(found))
  inventory = Inventory(field, place, entries, left_out=left_out)
  usable = [scan for entry in inventory.usable for scan in entry.scans]
  if not usable:
    return dataclasses.replace(inventory, problem=entries[0].problem)
  try:
    opened = slices_lib.open_slices(
      place, usable, settings, cache=cache, channels=channels
    )
    slices = slices_lib.select(
      opened, min_foreground=min_foreground, slice_range=slice_range
    )
  except errors.UserError as error:
    return dataclasses.replace(inventory, problem=str(error))
  return dataclasses.replace(inventory, slices=slices)


def measure_heads(
  inventory: Inventory, settings: framing.SliceSettings
) -> list[float]:
  """How long heads are in the slices of some volumes, mm, air left out."""
  volumes = [each for each in inventory.usable if each.spacing]
  rows = np.linspace(0, len(volumes) - 1, min(len(volumes), _MEASURED))
  return [
    _measure_head(volumes[row].scans[0], settings) for row in rows.astype(int)
  ]


def find_identical(
  first: Inventory, second: Inventory, cache: pathlib.Path
) -> list[tuple[str, str]]:
  """Places of scans in one source whose files are also in another."""
  seen = {
    cache_lib.hash_files(cache, scan.paths): scan.place
    for entry in first.usable
    for scan in entry.scans
  }
  return [
    (seen[content], scan.place)
    for entry in second.usable
    for scan in entry.scans
    if (content := cache_lib.hash_files(cache, scan.paths)) in seen
  ]


def suggest(
  lengths: Sequence[float],
  native: Sequence[float],
  *,
  image_size: int,
  sizes: Sequence[int],
) -> Mapping[str, tuple[float, int]]:
  """Spacings and image sizes that show whole heads.

  Args:
    lengths: of heads, mm.
    native: mm between pixels of the scans' slices.
    image_size: of the config.
    sizes: that the networks can take.

  Returns:
    (spacing, image_size) that keep 'the image size', and, where another size
    does, 'the detail of the scans'.
  """
  longest = 1.03 * max(lengths)  # a margin, for heads that were not measured
  finest = float(np.median(native))
  kept = max(finest, longest / image_size)
  found = {'the image size': (_round_up(kept), image_size)}
  enough = [size for size in sizes if size * finest >= longest]
  if enough and enough[0] != image_size:
    size = enough[0]
    spacing = max(finest, longest / size)
    found['the detail of the scans'] = (_round_up(spacing), size)
  return found


def _look_at(place, group, settings, cache, channels):
  notes = []
  try:
    opened = slices_lib.open_slices(
      place,
      group,
      settings,
      cache=cache,
      channels=channels,
      warn=notes.append,
    )
  except errors.UserError as error:
    return Entry(group, problem=str(error))
  known = next(iter(opened.scans.values()), records.Decoded())
  return Entry(group, known, notes=tuple(notes))


def _measure_head(scan, settings):
  volume = dispatch.read_scan(scan, index=settings.index)
  scaling = canvas.scale(volume, settings, picture=False)
  stack = canvas.cut(
    intensity.to_unit(volume.voxels, scaling),
    volume,
    settings.planes[0],
    settings,
    fill=float(intensity.to_unit(scaling.background, scaling)),
  )
  return settings.spacing * canvas.measure_head(stack)


def _round_up(spacing):
  """To a twentieth of a millimetre, as people write it."""
  return float(np.ceil(spacing * 20 - 1e-6) / 20)
