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
class Intensities:
  """What the intensities of a scan, or of a domain, mean.

  Attributes:
    scaling: between scanner units and [-1, 1].
    quantiles: of the head in [-1, 1], for probabilities in equal steps.
    pictures: whether they are those of pictures, which have black and white.
  """

  scaling: intensity.Scaling
  quantiles: tuple[float, ...]
  pictures: bool = False

  def to_json(self) -> dict:
    return dataclasses.asdict(self)

  @classmethod
  def from_json(cls, fields: dict) -> 'Intensities':
    return cls(
      scaling=intensity.from_json(fields['scaling']),
      quantiles=tuple(fields['quantiles']),
      pictures=fields['pictures'],
    )


@dataclasses.dataclass(frozen=True)
class Decoded:
  """A volume, or a folder of pictures, made into slices.

  Attributes:
    slices: in the order of their images.
    intensities: None if there are no slices.
    centers: of volumes, by plane: what slices are centred about, shares of
      rows and columns.
    grid: of volumes: what two scans of a patient share or not.
    notes: what a person should know, a line each.
    corrupt: files left out because they cannot be decoded.
    blank: slices left out because there is nothing to see.
  """

  slices: tuple[SliceRecord, ...] = ()
  intensities: Intensities | None = None
  centers: dict[str, tuple[float, float]] = dataclasses.field(
    default_factory=dict
  )
  grid: tuple[float, ...] = ()
  notes: tuple[str, ...] = ()
  corrupt: tuple[str, ...] = ()
  blank: int = 0

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
      intensities=Intensities.from_json(known) if known else None,
      centers={
        plane: tuple(center) for plane, center in fields['centers'].items()
      },
      grid=tuple(fields['grid']),
      notes=tuple(fields['notes']),
      corrupt=tuple(fields['corrupt']),
      blank=fields['blank'],
    )
