"""What is known of scans survives JSON as it was, types and all."""

import json

import pytest

from cyclegan_jax.data import records
from cyclegan_jax.mri import intensity

_SLICE = records.SliceRecord(
  'anna axial 003', 'anna', 'anna', 0.25, 0.5, 'axial'
)
_SCALING = intensity.Scaling(
  'percentile', (0.0, 1.5, 90.0, 100.0), (-1.0, -0.98, 0.95, 1.0), 1.5
)


@pytest.mark.parametrize(
  'decoded',
  [
    records.Decoded(),
    records.Decoded(blank=1, corrupt=('x.png',), notes=('skipped: x.png',)),
    records.Decoded(
      slices=(_SLICE, _SLICE._replace(head=0.0, position=None, plane=None)),
      intensities=intensity.Intensities(_SCALING, (-1.0, 0.0, 1.0), True),
      centers={'axial': (0.5, 0.25), 'coronal': (0.5, 0.5)},
      grid=(20, 24, 16, 1.0, 0.0),
      notes=('one', 'two'),
    ),
  ],
)
def test_what_is_known_survives_json(decoded):
  again = records.Decoded.from_json(json.loads(json.dumps(decoded.to_json())))
  assert again == decoded
  for field in ('slices', 'grid', 'notes', 'corrupt'):
    assert isinstance(getattr(again, field), tuple)
  assert all(isinstance(each, records.SliceRecord) for each in again.slices)
  if decoded.intensities:
    assert again.intensities.scaling.bright == 90


def test_fields_of_a_slice_are_stored_by_name():
  """Not by position, so that a field can be added."""
  (stored,) = records.Decoded(slices=(_SLICE,)).to_json()['slices']
  shuffled = dict(reversed(stored.items()))
  fields = records.Decoded().to_json() | {'slices': [shuffled]}
  assert records.Decoded.from_json(fields).slices == (_SLICE,)
