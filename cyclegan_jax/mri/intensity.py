"""Scanner units to the network's [-1, 1] and back.

A scaling is a monotone piecewise linear map, so it is exactly invertible over
the whole range it was fitted on: nothing a scan holds is clipped away. It is
fitted to a volume, never to a slice, so that slices of one head keep their
relation.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np
import numpy.typing as npt

from cyclegan_jax import errors

KINDS = ('percentile', 'inside', 'zscore', 'minmax', 'window')

_WHOLE = ('minmax', 'window', 'white')  # between two knots, nothing beyond
# Most of the range is for the tissue; the ends are left to rare extremes.
_ENDS = (-1.0, -0.98, 0.95, 1.0)
# Of 'inside': the level, and from where on what is bright gets less
# of the range: fat, of which heads have more and less.
_LEVEL, _SHOULDER = -0.3, 0.6
_INSIDE_ENDS = (-1.0, -0.98, _LEVEL, _SHOULDER, 0.95, 1.0)
# What percentiles are taken of is above this share of the way from air to the
# brightest: tissue that gives a signal, not the whole of a head.
_FOREGROUND = 0.1


@dataclasses.dataclass(frozen=True)
class Scaling:
  """Corresponding knots of scanner units and network units.

  Attributes:
    kind: one of `KINDS`, or 'white' for pictures.
    intensities: scanner units, not decreasing.
    units: in [-1, 1], increasing, as many.
    background: scanner units of what surrounds the head.
  """

  kind: str
  intensities: tuple[float, ...]
  units: tuple[float, ...]
  background: float

  @property
  def bright(self) -> float:
    """Scanner units of the brightest tissue, rare extremes left out."""
    return self.intensities[-1 if self.kind in _WHOLE else -2]


def fit_scaling(
  voxels: np.ndarray,
  kind: str = 'percentile',
  *,
  window: tuple[float, float] = (0.0, 0.0),
  level: float | None = None,
) -> Scaling:
  """Fits a scaling to one volume.

  'percentile': the 0.5th percentile of all voxels (air) and the 99.5th of the
  foreground span nearly all of the range, what lies beyond them the rest.
  'inside': the median of what lies deep in the head, `level`, is the same in
  every scan, and up to 2.3 times that all is linear; fat, which decides where
  the 99.5th percentile of a whole head is, does not move it.
  'zscore': three standard deviations about the mean of the foreground span
  it. 'minmax': the extremes are -1 and 1. 'window': `window` is -1 and 1
  whatever the volume, and what lies outside is clipped: for CT, in HU.

  The foreground is what lies above a tenth of the way from the 0.5th to the
  99.5th percentile of all voxels.

  Args:
    voxels: finite, any shape and real type.
    kind: one of `KINDS`.
    window: lowest and highest intensity, for the kind 'window'.
    level: from `inside.measure_level`, for the kind 'inside'.

  Raises:
    UserError: if all voxels are equal.
  """
  values = np.asarray(voxels).ravel()
  least, most = float(values.min()), float(values.max())
  if least == most:
    raise errors.UserError(
      f'every voxel is {least:g}: there is nothing to see in it'
    )
  air, bright = (float(x) for x in np.percentile(values, (0.5, 99.5)))
  if air == bright:  # a few bright voxels in a sea of one value
    air, bright = least, most
  foreground = air + _FOREGROUND * (bright - air)
  tissue = values[values > foreground]
  if kind == 'window':
    low, high = map(float, window)
    return Scaling(kind, (low, high), (-1.0, 1.0), max(air, low))
  if kind == 'minmax':
    return Scaling(kind, (least, most), (-1.0, 1.0), air)
  if kind == 'inside':
    assert level is not None
    low, bright = air, float(np.percentile(tissue, 99.5))
    step = (level - low) / (_LEVEL - _INSIDE_ENDS[1])
    shoulder = low + (_SHOULDER - _INSIDE_ENDS[1]) * step
    # Where little is bright, knots beyond the shoulder lie where nothing is.
    high = max(bright, shoulder + step * (_INSIDE_ENDS[4] - _SHOULDER))
    knots = (min(least, low), low, level, shoulder, high)
    most = max(most, high + step * (1 - _INSIDE_ENDS[4]))
    return Scaling(kind, (*knots, most), _INSIDE_ENDS, air)
  if kind == 'percentile':
    low, high = air, float(np.percentile(tissue, 99.5))
  elif kind == 'zscore':
    mean, std = tissue.mean(dtype=float), tissue.std(dtype=float)
    low, high = mean - 3 * std, mean + 3 * std
  else:
    raise ValueError(f'kind {kind!r} is none of {", ".join(KINDS)}')
  # Knots stay in order when the extremes lie within low and high.
  knots = (min(least, low), low, high, max(most, high))
  return Scaling(kind, tuple(map(float, knots)), _ENDS, air)


def from_json(fields: dict) -> Scaling:
  """A scaling out of JSON; older versions had further fields."""
  return Scaling(
    kind=fields['kind'],
    intensities=tuple(fields['intensities']),
    units=tuple(fields['units']),
    background=fields['background'],
  )


@dataclasses.dataclass(frozen=True)
class Intensities:
  """What the intensities of a scan, or of a domain, mean.

  Attributes:
    scaling: between scanner units and [-1, 1].
    quantiles: of the head in [-1, 1], for probabilities in equal steps.
    pictures: whether they are those of pictures, which have black and white.
  """

  scaling: Scaling
  quantiles: tuple[float, ...]
  pictures: bool = False

  def to_json(self) -> dict:
    return dataclasses.asdict(self)

  @classmethod
  def from_json(cls, fields: dict) -> 'Intensities':
    return cls(
      scaling=from_json(fields['scaling']),
      quantiles=tuple(fields['quantiles']),
      pictures=fields['pictures'],
    )


def scale_to_white(white: float) -> Scaling:
  """Of a picture: 0 is black, `white` is white."""
  return Scaling('white', (0.0, float(white)), (-1.0, 1.0), 0.0)


def spread_evenly(kind: str, air: float, bright: float) -> Scaling:
  """A scaling of the knots of 'percentile', linear from end to end.

  Args:
    kind: 'percentile' or 'zscore'.
    air: scanner units of what surrounds the head.
    bright: of the brightest tissue.
  """
  _, low, high, _ = _ENDS
  step = (bright - air) / (high - low)
  knots = tuple(air + step * (unit - low) for unit in _ENDS)
  return Scaling(kind, knots, _ENDS, air)


def to_unit(voxels: npt.ArrayLike, scaling: Scaling) -> np.ndarray:
  """Scanner units as float32 in [-1, 1]."""
  unit = np.interp(np.asarray(voxels), scaling.intensities, scaling.units)
  return unit.astype(np.float32)


def from_unit(images: np.ndarray, scaling: Scaling) -> np.ndarray:
  """The inverse of `to_unit`: float32 scanner units, clipped to its range."""
  voxels = np.interp(images, scaling.units, scaling.intensities)
  return voxels.astype(np.float32)


def average(scalings: Sequence[Scaling]) -> Scaling:
  """The typical scaling of a domain: the median of every knot.

  Args:
    scalings: of one kind, one a volume.
  """

  def median(values):
    return np.median(np.array(values, float), axis=0).tolist()

  return dataclasses.replace(
    scalings[0],
    intensities=tuple(median([each.intensities for each in scalings])),
    background=median([each.background for each in scalings]),
  )
