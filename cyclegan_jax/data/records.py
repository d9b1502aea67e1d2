"""What is known of scans once they are decoded: typed here, JSON on disk."""

import dataclasses
from typing import NamedTuple

from cyclegan_jax.mri import intensity


class SliceRecord(NamedTuple):
  """One slice.

  Attributes:
    name: of the scan, and for volumes of the plane and number.
    scan: name of the scan it is of.
    patient: whose it is.
    head: share of its pixels that show the head.
    position: along the plane, from 0 to 1; None in pictures.
    plane: along which it was cut; None in pictures.
  """

  name: str
  scan: str
  patient: str
  head: float
  position: float | None = None
  plane: str | None = None


@dataclasses.dataclass(frozen=True)
class Decoded:
  """A volume, or a folder of pictures, made into slices.

  Attributes:
    slices: in the order of their images.
    intensities: of the heads; only where there are slices.
    centers: of volumes, by plane: what slices are centred about, shares of
      rows and columns.
    grid: of volumes: what two scans of a patient share or not.
    notes: what a person should know, a line each.
    corrupt: files left out because they cannot be decoded.
    blank: slices left out because there is nothing to see.
    channels: of the slices on disk.
  """

  slices: tuple[SliceRecord, ...] = ()
  intensities: intensity.Intensities | None = None
  centers: dict[str, tuple[float, float]] = dataclasses.field(
    default_factory=dict
  )
  grid: tuple[float, ...] = ()
  notes: tuple[str, ...] = ()
  corrupt: tuple[str, ...] = ()
  blank: int = 0
  channels: int = 1

  def to_json(self) -> dict:
    fields = {**vars(self), 'slices': [each._asdict() for each in self.slices]}
    if self.intensities:
      fields['intensities'] = self.intensities.to_json()
    return fields

  @classmethod
  def from_json(cls, fields: dict) -> 'Decoded':
    known = fields['intensities']
    return cls(
      slices=tuple(SliceRecord(**each) for each in fields['slices']),
      intensities=intensity.Intensities.from_json(known) if known else None,
      centers={
        plane: tuple(center) for plane, center in fields['centers'].items()
      },
      grid=tuple(fields['grid']),
      notes=tuple(fields['notes']),
      corrupt=tuple(fields['corrupt']),
      blank=fields['blank'],
      channels=fields.get('channels', 1),
    )
