"""The part of a checkpoint that is no array survives JSON, and older JSON."""

import dataclasses
import json

import pytest

from cyclegan_jax import errors
from cyclegan_jax import meta as meta_lib
from cyclegan_jax.mri import intensity

_SCALING = intensity.Scaling('window', (0.0, 90.0), (-1.0, 1.0), 1.5)
_META = meta_lib.Meta(
  config={'domains': ['T1w', 'T2w'], 'data': {'spacing': 1.0}},
  versions={'jax': '0.10.2'},
  git_revision=None,
  step=7,
  data={'a': 'v3-0123', 'b': 'v3-4567'},
  intensities={
    'a': intensity.Intensities(_SCALING, (-1.0, 0.25, 1.0)),
    'b': intensity.Intensities(intensity.scale_to_white(255), (0.5,), True),
  },
  patients={'salt': 'ab', 'marks': ['cd', 'ef']},
  sums={'window': {'count': 2}},
  distance=0.125,
)


def store(meta):
  return json.loads(json.dumps(meta.to_json()))


@pytest.mark.parametrize('changes', [{}, {'sums': None, 'distance': None}])
def test_it_survives_json(changes):
  meta = dataclasses.replace(_META, **changes)
  again = meta_lib.Meta.from_json(store(meta), 'here')
  assert again == meta
  assert isinstance(again.intensities['a'].scaling, intensity.Scaling)


def test_what_is_stored_does_not_change_while_a_run_goes_on():
  sums = {'window': {'count': 2}}
  stored = dataclasses.replace(_META, sums=sums).to_json()
  sums['window']['count'] = 3
  assert stored['sums'] == {'window': {'count': 2}}


def test_fields_of_other_versions_are_no_trouble():
  """Of later ones those unknown, of older ones those missing."""
  fields = store(_META) | {'weather': 'fine'}
  del fields['sums'], fields['distance']
  expected = dataclasses.replace(_META, sums=None, distance=None)
  assert meta_lib.Meta.from_json(fields, 'here') == expected


def test_what_was_imported_says_which_ways_it_goes():
  assert _META.directions() == ['ab', 'ba']
  for names, directions in (
    (('gen_ab', 'gen_ba', 'disc_a'), ['ab', 'ba']),
    (('gen_ba',), ['ba']),
  ):
    meta = dataclasses.replace(_META, imported=dict.fromkeys(names, '0f'))
    meta = meta_lib.Meta.from_json(store(meta), 'here')
    assert meta.directions() == directions
    assert meta.learnt_from() == ['imported']


def test_marks_of_older_versions_had_no_salt():
  fields = store(_META) | {'people': ['cd', 'ef']}
  del fields['patients']
  marked = meta_lib.Meta.from_json(fields, 'here').patients
  assert marked == {'salt': None, 'marks': ['cd', 'ef']}
  del fields['people']
  marked = meta_lib.Meta.from_json(fields, 'here').patients
  assert marked == {'salt': None, 'marks': []}


def test_without_intensities_it_is_too_old():
  fields = store(_META)
  del fields['intensities']
  with pytest.raises(errors.UserError, match='^here/4 was .* train again$'):
    meta_lib.Meta.from_json(fields, 'here/4')
