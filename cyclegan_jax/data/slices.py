"""Scans as slices for the networks, decoded once and kept in a cache."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import itertools
import math
import pathlib
from typing import NamedTuple

import numpy as np

from cyclegan_jax import errors
from cyclegan_jax.data import cache as cache_lib
from cyclegan_jax.data import decode
from cyclegan_jax.data import records
from cyclegan_jax.mri import channels as channels_lib
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import levels
from cyclegan_jax.mri.formats import dispatch

# More broken pictures than this share, and the folder is not to be trusted.
MAX_CORRUPT = 0.01


class Slice(NamedTuple):
  """One slice in the cache: as in `records.SliceRecord`, and where it is.

  Attributes:
    name, scan, patient, head, position, plane: of the slice.
    path: of the cache entry.
    row: of the slice in it.
    channels: of the slices there.
    level: how high in the head it is, `mri.levels`; None in pictures.
  """

  name: str
  scan: str
  patient: str
  head: float
  position: float | None
  plane: str | None
  path: pathlib.Path
  row: int
  channels: int = 1
  level: float | None = None


@dataclasses.dataclass(frozen=True)
class SliceSet:
  """The slices of one domain.

  Attributes:
    source: the folder, as the user named it.
    size: sides of a slice, pixels.
    slices: sorted by scan, plane and number.
    scans: what is known of the volumes and folders of pictures they are of, by
      name.
    content: changes when the files or what was made of them does.
    blank: how many slices were left out for lack of a head.
    corrupt: how many files were left out because they cannot be decoded.
    channels: of the networks that are to see them, as in `mri.channels`.
  """

  source: str
  size: int
  slices: tuple[Slice, ...]
  scans: dict[str, records.Decoded]
  content: str
  blank: int = 0
  corrupt: int = 0
  channels: int = 1

  def __len__(self) -> int:
    return len(self.slices)

  @property
  def patients(self) -> set[str]:
    return {each.patient for each in self.slices}

  def load(self, index: int) -> np.ndarray:
    """Slice `index`: [size, size, channels] float32 in [-1, 1]."""
    chosen = self.slices[index]
    shape = (1, self.size, self.size, chosen.channels)
    count = math.prod(shape)
    # Opened and closed again: thousands of scans would run out of handles.
    # Read it is a third of the time of a map.
    pixels = np.fromfile(
      chosen.path, np.float32, count, offset=chosen.row * 4 * count
    )
    level = None if chosen.level is None else np.array([chosen.level])
    return channels_lib.spread(pixels.reshape(shape), self.channels, level)[0]

  def fingerprint(self) -> str:
    """Changes when the slices do, not when their folder moves.

    It begins with the version of what makes slices of scans.
    """
    chosen = [(each.name, each.patient, each.position) for each in self.slices]
    return version_tag() + cache_lib.hash_text(self.content, *chosen)[:16]

  def intensities(self) -> intensity.Intensities:
    """What is typical of the domain: medians of scalings, means of quantiles.

    Of scalings of the first scan's kind.
    """
    # Scans without slices, which have none, are not among them.
    known = [x.intensities for x in self.scans.values() if x.intensities]
    first = known[0]
    alike = [
      each.scaling for each in known if each.scaling.kind == first.scaling.kind
    ]
    quantiles = np.mean([each.quantiles for each in known], axis=0)
    return intensity.Intensities(
      scaling=intensity.average(alike),
      quantiles=tuple(quantiles.tolist()),
      pictures=first.pictures,
    )


def version_tag() -> str:
  """What the fingerprints of slices made by this version begin with."""
  return f'v{decode.VERSION}-'


def open_slices(
  source: str,
  scans: Sequence[dispatch.Scan],
  settings: framing.SliceSettings,
  *,
  cache: pathlib.Path,
  centers: Mapping[str, dict] | None = None,
  channels: int = 1,
  report: Callable[[int, int], None] = lambda done, total: None,
  warn: Callable[[str], None] = lambda message: None,
) -> SliceSet:
  """Decodes scans, or finds them decoded.

  Args:
    source: what the user named, for messages.
    scans: what was found there.
    settings: how they become slices.
    cache: folder that keeps what has been decoded.
    centers: by name of a scan, where it is centred, as in `SliceSet.scans`;
      others are centred about their head.
    channels: of the networks that are to see them, as in `mri.channels`.
    report: called with the files done and their number.
    warn: called with a line for what a person should know.

  Raises:
    UserError: naming a file that cannot be used; if more than 1 % of the
      pictures are broken; or if networks ask for levels, which pictures lack.
  """
  done, total = 0, sum(len(scan.paths) for scan in scans)
  slices, known, contents, corrupt, blank = [], {}, [], [], 0
  scans = sorted(scans, key=lambda scan: (group_of(scan), scan.name))
  kept = channels_lib.of_images(channels)
  for name, group in itertools.groupby(scans, key=group_of):
    group = list(group)
    report(done, total)
    center = (centers or {}).get(name)
    paths = [path for scan in group for path in scan.paths]
    content = cache_lib.hash_files(cache, paths)
    # Patients and slices are named after files, so names count as content.
    names = [scan.name for scan in group]
    # Nothing more of gray ones: older versions knew no others.
    coloured = (kept,) * (kept > 1 and group[0].is_picture)
    made_with = (settings, center, content, names, *coloured)
    key = cache_lib.hash_text(decode.VERSION, *made_with)

    def make(path, group=group, center=center, done=done):
      return decode.decode(
        path,
        group,
        settings,
        centers=center,
        channels=kept,
        report=lambda more: report(done + more, total),
      ).to_json()

    path, entry = cache_lib.fetch(cache, key, make)
    decoded = records.Decoded.from_json(entry)
    for note in decoded.notes:
      warn(note)
    corrupt += decoded.corrupt
    blank += decoded.blank
    if decoded.slices:
      contents.append(key)
      known[name] = decoded
      slices += _place(decoded, path)
    done += len(paths)
  report(total, total)
  _check_corrupt(source, corrupt, total)
  _check_levels(source, slices, channels)
  return SliceSet(
    source=source,
    size=settings.size,
    slices=tuple(slices),
    scans=known,
    content=cache_lib.hash_text(contents),
    blank=blank,
    corrupt=len(corrupt),
    channels=channels,
  )


def _place(decoded, path):
  """The slices of a cache entry; pictures do not say how high they are."""
  heights: dict[int, float] = {}
  for plane in {each.plane for each in decoded.slices} - {None}:
    rows = [
      row for row, each in enumerate(decoded.slices) if each.plane == plane
    ]
    areas = [decoded.slices[row].head for row in rows]
    found = levels.measure_levels(areas).tolist()
    heights |= dict(zip(rows, found, strict=True))
  for row, each in enumerate(decoded.slices):
    yield Slice(
      **each._asdict(),
      path=path,
      row=row,
      channels=decoded.channels,
      level=heights.get(row),
    )


def _check_levels(source, slices, channels):
  if channels == channels_lib.LEVELLED and not any(x.plane for x in slices):
    raise errors.UserError(
      f'{source}: pictures do not say how high in the head they are; take '
      '--config.generator.contrast_look=depth'
    )


def _check_corrupt(source, corrupt, total):
  if len(corrupt) > MAX_CORRUPT * total:
    raise errors.UserError(
      f'{source}: {len(corrupt)} of {total} files cannot be decoded, the first '
      f'is {corrupt[0]}; replace or remove them'
    )


def select(
  slices: SliceSet,
  *,
  min_foreground: float,
  slice_range: tuple[float, float] = (0.0, 1.0),
) -> SliceSet:
  """Those slices that show enough of a head.

  Args:
    slices: all.
    min_foreground: those with a smaller share of head are blank.
    slice_range: what part of every volume to take, shares along its plane.

  Raises:
    UserError: if none is left.
  """
  low, high = slice_range
  within = [
    each
    for each in slices.slices
    if each.position is None or low <= each.position <= high
  ]
  kept = tuple(each for each in within if each.head >= min_foreground)
  if not kept:
    raise errors.UserError(
      f'{slices.source}: none of its {len(slices)} slices is usable, all are '
      f'blank (head below {min_foreground:.0%}, data.min_foreground) or '
      'outside data.slice_range'
    )
  return dataclasses.replace(
    slices, slices=kept, blank=slices.blank + len(within) - len(kept)
  )


def group_of(scan: dispatch.Scan) -> str:
  """Pictures of one folder share their white; any other scan is alone."""
  return str(scan.paths[0].parent) if scan.is_picture else scan.name


def load_spread(slices: SliceSet, count: int) -> np.ndarray:
  """At most so many slices, spread evenly: [N, size, size, C] in [-1, 1]."""
  rows = np.linspace(0, len(slices) - 1, min(len(slices), count))
  return np.stack([slices.load(row) for row in rows.astype(int)])


def crop_middle(images: np.ndarray, size: int) -> np.ndarray:
  """The inner squares [N, size, size, C] of images that may be larger."""
  margin = (images.shape[1] - size) // 2
  inner = slice(margin, margin + size)
  return images[:, inner, inner]
