"""Whose a scan is, told from names and places; nobody is given away."""

import hashlib
import json
import pathlib

import pytest

from cyclegan_jax import errors
from cyclegan_jax.mri import patients
from cyclegan_jax.mri import scans
from cyclegan_jax.mri.formats import dispatch


@pytest.mark.parametrize(
  'name,patient',
  [
    ('patient07_z036.png', 'patient07'),
    ('patient07_slice-036.png', 'patient07'),
    ('sub-12_ses-1_T1w.nii.gz', 'sub-12'),
    ('study/sub-12/anat/x.nii', 'sub-12'),
    ('anna/ses1/t1_004.png', 'anna'),
    ('BraTS20_Training_001_flair.nii', 'BraTS20_Training_001'),
    ('ADNI_002_S_0413.nii', 'ADNI_002_S_0413'),
    ('patient_02.nii.gz', 'patient_02'),
    ('anna_T1.nii', 'anna'),
    ('017.png', '017'),
  ],
)
def test_patients_are_told_from_names(name, patient):
  numbered = name.endswith('.png')
  assert patients.patient_of(name, numbered=numbered) == patient


def test_names_that_tell_nobody_apart():
  for name in ('slice', '0017', 'img_3', 'T1', 'scan12'):
    assert not patients.is_person(name)
  for name in ('anna', 'patient07', 'sub-1', 'p1'):
    assert patients.is_person(name)


def make(*listing):
  return [
    dispatch.Scan(
      name,
      patients.patient_of(name, numbered=False),
      (),
      'nifti',
      home=pathlib.Path(name).parent if '/' in name else None,
    )
    for name in listing
  ]


def test_pairs_share_a_name_or_are_the_only_ones_of_a_patient():
  pairs = patients.pair_scans(
    make('anna/x', 'bert/T1', 'carl/T1a', 'carl/T1b', 'dora_T1'),
    make('anna/x', 'anna/y', 'bert/T2', 'carl/T2', 'dora_T2', 'emil_T2'),
  )
  assert [(a.name, b.name) for a, b in pairs] == [
    ('anna/x', 'anna/x'),
    ('bert/T1', 'bert/T1'),
    ('dora_T1', 'dora_T1'),
  ]


def test_what_is_left_of_several_scans_makes_no_pair():
  """The second slice of one folder is not the third of the other."""
  first, second = make('anna/1', 'anna/2'), make('anna/1', 'anna/3')
  pairs = patients.pair_scans(first, second)
  assert [(a.name, b.name) for a, b in pairs] == [('anna/1', 'anna/1')]


def test_nobodys_numbers_make_no_pair():
  assert not patients.pair_scans(make('scan_1'), make('scan_2'))
  assert not patients.pair_scans(make('T1'), make('T2'))


def test_people_are_told_apart_by_name_or_by_place(tmp_path):
  for name in ('tr/001/T1.nii', 'tr/001/T2.nii', 'te/001/T1.nii'):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
  (first,) = scans.find_scans(str(tmp_path / 'tr' / '*' / 'T1.nii'))
  (second,) = scans.find_scans(str(tmp_path / 'tr' / '*' / 'T2.nii'))
  (other,) = scans.find_scans(str(tmp_path / 'te' / '*' / 'T1.nii'))
  assert patients.tell_apart(first) & patients.tell_apart(second)
  assert not patients.tell_apart(first) & patients.tell_apart(other)
  assert patients.pair_scans([first], [second])


def test_pictures_are_paired_with_pictures_only():
  (volume,) = make('anna/x')
  picture = dispatch.Scan('anna/x', 'anna', (), 'picture', home=volume.home)
  assert not patients.pair_scans([volume], [picture])
  assert not patients.pair_scans([picture], [volume])
  assert patients.pair_scans([picture], [picture])


def test_whom_the_networks_know_is_told_but_not_with_all_names():
  known = make('anna_T1', 'bert_T1', 'carl_T1', 'dora_T1', 'emil_T1')
  found = dict(train_a=known[:1], train_b=known[1:], test_b=known)
  message = 'patient anna in both data.train_a and data.test_b: scores'
  with pytest.raises(errors.UserError, match=message):
    patients.check_patients(found, warn=pytest.fail)
  found['train_a'] = make('fred_T1')
  message = 'patients bert, carl, dora and 1 more in both data.train_b'
  with pytest.raises(errors.UserError, match=message):
    patients.check_patients(found, warn=pytest.fail)
  warnings = []
  del found['test_b']
  patients.check_patients(found, warn=warnings.append)
  assert warnings == []
  found['train_a'] = known[3:4]
  patients.check_patients(found, warn=warnings.append)
  (warning,) = warnings
  assert 'patient dora in both training domains' in warning


def scan_of(patient):
  return dispatch.Scan(
    'T1', patient, (pathlib.Path(f'/x/{patient}/T1.nii'),), 'nifti'
  )


def test_marks_of_people_are_salted_and_recognised():
  anna, bert = scan_of('anna'), scan_of('bert')
  first, second = (patients.mark([anna]) for _ in range(2))
  assert not set(first['marks']) & set(second['marks'])
  stored = json.dumps(first)
  assert 'anna' not in stored
  assert hashlib.sha256(repr(('anna',)).encode()).hexdigest()[:16] not in stored
  known = patients.find_known([bert, anna], json.loads(stored))
  assert known == ['anna']


def test_unsalted_marks_of_older_checkpoints_are_recognised():
  marks = [hashlib.sha256(repr(('anna',)).encode()).hexdigest()[:16]]
  found = [scan_of('anna'), scan_of('bert')]
  known = {'salt': None, 'marks': marks}
  assert patients.find_known(found, known) == ['anna']
  assert not patients.find_known(found, {'salt': None, 'marks': []})


def test_pictures_are_marked_by_their_folder_not_one_by_one(tmp_path):
  """Of which there are thousands; a link to the folder is that folder."""
  folder = tmp_path / '007'
  folder.mkdir()
  (tmp_path / 'link').symlink_to(folder)

  def picture(home, name):
    return dispatch.Scan(name, '007', (home / name,), 'picture', home=home)

  people = patients.mark([picture(folder, f'{n}.png') for n in range(50)])
  assert len(people['marks']) == 1
  other = picture(tmp_path / 'link', 'new.png')
  assert patients.find_known([other], people) == ['007']
