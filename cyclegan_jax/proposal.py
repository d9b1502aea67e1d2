"""A recipe for scans: what is known of them, to fields and why. No JAX."""

from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Any
from typing import NamedTuple

_ENOUGH = 256  # pixels for a head: finer was not tried
_MULTIPLE = 32  # what both networks, and halvings of them, divide by
_MARGIN = 1.03  # of a head's length: not every head was measured
_CROP = 128  # pixels: what two cores train in half a second a step
_ROOMY = 4 * 2**30  # bytes of an accelerator for a whole slice and wide layers
_THICK = 1.5  # times as far apart as pixels: slices of one plane alone
# Steps that are worth it, on processors and on accelerators.
_STEPS, _MANY_STEPS = 3000, 40000
_FEW = 5  # people of a domain: networks learn them by heart


class Facts(NamedTuple):
  """What decides about a recipe.

  Attributes:
    people: in domain a and b.
    slices: likewise, that show a head.
    spacing: mm between pixels of a slice, of the coarser domain; None for
      pictures.
    apart: mm between slices, likewise.
    plane: in which the volumes were acquired.
    length: of the longest head in a slice, mm; for pictures, pixels.
    whole: whether heads are whole, not brains alone, in domain a and b.
    memory: bytes of a device, if it tells.
    devices: how many there are.
    processors: whether they are nothing but processors.
  """

  people: tuple[int, int]
  slices: tuple[int, int]
  spacing: float | None
  apart: float | None
  plane: str
  length: float
  whole: tuple[bool, bool]
  memory: int | None
  devices: int
  processors: bool


class Proposal(NamedTuple):
  """Fields of a config by dotted name, and why in words."""

  fields: Mapping[str, Any]
  reasons: Sequence[str]


def propose(facts: Facts) -> Proposal:
  """A recipe for the scans that the facts are of."""
  fields: dict[str, Any] = {}
  reasons: list[str] = []
  for decide in (_scale, _width, _kind, _time):
    own, why = decide(facts, fields)
    fields |= own
    reasons += why
  return Proposal(fields, reasons)


def _scale(facts, _):
  """Millimetres, sides and planes."""
  if facts.spacing is None:
    size = _round_up(min(facts.length, _ENOUGH))
    return {'image_size': size}, [
      f'pictures tell no millimetres: they are made {size} x {size} pixels'
    ]
  length = _MARGIN * facts.length
  spacing = max(facts.spacing, length / _ENOUGH)
  spacing = math.ceil(1000 * spacing - 1e-6) / 1000
  size = _round_up(length / spacing)
  fields = {
    'data.spacing': spacing,
    'image_size': size,
    'data.planes': (facts.plane,),
  }
  why = [
    f'pixels of {spacing:g} mm: scans have {facts.spacing:.2g} mm, and heads '
    f'are up to {facts.length:.0f} mm long, so {size} x {size} pixels'
  ]
  if facts.apart > _THICK * facts.spacing:
    why.append(
      f'{facts.plane} slices alone: they are {facts.apart:.2g} mm apart'
    )
  return fields, why


def _width(facts, before):
  """Features, blocks and crops, by what computes."""
  size = before['image_size']
  small = facts.processors or (facts.memory or _ROOMY) < _ROOMY
  if not small:
    return {'batch_size': facts.devices}, [
      'an accelerator: the full width, whole slices, an image of each contrast '
      'on each device'
    ]
  fields: dict[str, Any] = {
    'generator.features': 32,
    'generator.blocks': 6,
    'discriminator.features': 32,
    'batch_size': facts.devices,
  }
  what = 'processors' if facts.processors else 'a small accelerator'
  why = f'{what}: half the width and six blocks'
  if size > _CROP:
    fields |= {'crop_size': _CROP}
    why += f', trained on crops of {_CROP} x {_CROP} pixels'
  return fields, [why]


def _kind(facts, before):
  """What is right for whole heads, and for brains."""
  whole = any(facts.whole)
  look = 'surroundings'
  if whole or 'crop_size' in before:
    look = 'depth' if facts.spacing is None else 'place'
  if whole:
    cycle, why = 3.0, ['whole heads: fat takes the range, a cycle loss of 3']
  else:
    cycle, why = 1.0, ['no skull is seen: brains alone, a cycle loss of 1']
  if whole and not all(facts.whole):
    why.append(
      'one folder shows whole heads and the other brains alone: strip the '
      'skull of both, or of none, and plan again'
    )
  if look == 'place':
    why.append(
      'contrast maps by depth and by how high in the head a slice is: one grey '
      'is other tissue elsewhere'
    )
  fields: dict[str, Any] = {
    'generator.contrast_look': look,
    'loss.cycle': cycle,
  }
  if all(facts.whole) and facts.spacing is not None:
    fields |= dict.fromkeys(('data.intensity_a', 'data.intensity_b'), 'inside')
    why.append('brightness by the inside of heads: people differ in their fat')
  if whole and look == 'place':
    fields['generator.contrast_learns'] = True
    why.append('contrast maps learn as well: a little sharper in whole heads')
  if whole and min(facts.people) < _FEW:
    fields['generator.reach'] = 0.08
    why.append('so few people: networks stay near their contrast maps')
  return fields, why


def _time(facts, _):
  """Epochs for as many steps as are worth it."""
  epoch = -(-max(facts.slices) // facts.devices)
  steps = _STEPS if facts.processors else _MANY_STEPS
  epochs = max(round(steps / epoch), 2)
  why = [
    f'{epochs} epochs of {epoch:,} steps, the last half with a falling rate'
  ]
  if min(facts.people) < _FEW:
    why.append(
      f'{facts.people[0]} and {facts.people[1]} people: networks learn so few '
      'by heart; more people help more than anything above'
    )
  return {'num_epochs': epochs, 'decay_epochs': epochs // 2}, why


def _round_up(pixels):
  return max(int(-(-pixels // _MULTIPLE)) * _MULTIPLE, 2 * _MULTIPLE)
