import pathlib

import numpy as np
import pytest

from cyclegan_jax import errors
from cyclegan_jax.mri import patients
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume
from cyclegan_jax.mri.formats import dicom_writer
from cyclegan_jax.mri.formats import dispatch


def touch(root, *names):
  for name in names:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'x')
  return root


def names(found):
  return [scan.name for scan in found]


def test_scans_are_found_in_subfolders_among_other_files(tmp_path):
  touch(
    tmp_path, 'anna/T1.nii.gz', 'anna/T1.json', 'bert/ses-1/x.NRRD', 'c.mha',
    'notes.txt', '.DS_Store', 'anna/Thumbs.db', 'd.npy', 'e/001.png',
  )  # fmt: skip
  found = scans.find_scans(tmp_path)
  assert names(found) == ['anna/T1', 'bert/ses-1/x', 'c', 'd', 'e/001']
  assert [s.module for s in found] == ['nifti', 'itk', 'itk', 'npy', 'picture']
  assert [s.patient for s in found] == ['anna', 'bert', 'c', 'd', 'e']


def test_a_pattern_and_a_single_file_are_sources_too(tmp_path):
  touch(tmp_path, 'p1/T1.nii.gz', 'p1/T2.nii.gz', 'p2/T1.nii.gz', 'p2/x/T1.nii')
  found = scans.find_scans(str(tmp_path / '*' / 'T1.nii.gz'))
  assert names(found) == ['p1/T1', 'p2/T1']
  found = scans.find_scans(str(tmp_path / '**' / 'T1.nii*'))
  assert names(found) == ['p1/T1', 'p2/T1', 'p2/x/T1']
  (scan,) = scans.find_scans(tmp_path / 'p1' / 'T2.nii.gz')
  assert scan.name == 'T2' and scan.place.endswith('p1/T2.nii.gz')
  with pytest.raises(errors.UserError, match='nothing matches'):
    scans.find_scans(str(tmp_path / '*' / 'T3.nii'))


def test_two_formats_of_one_name_stay_apart(tmp_path):
  touch(tmp_path, 'x.nii', 'x.npy')
  assert names(scans.find_scans(tmp_path)) == ['x.nii', 'x.npy']


@pytest.mark.parametrize('find', [scans.find_scans, scans.check_source])
def test_folders_that_cannot_be_used_are_named(tmp_path, find):
  with pytest.raises(errors.UserError, match='nowhere does not exist'):
    find(tmp_path / 'nowhere')
  with pytest.raises(errors.UserError, match=f'{tmp_path} is empty'):
    find(tmp_path)
  touch(tmp_path, 'notes.txt')
  with pytest.raises(errors.UserError, match='none of its 1 files is NIfTI'):
    find(tmp_path)


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


def test_nobodys_numbers_make_no_pair():
  assert not patients.pair_scans(make('scan_1'), make('scan_2'))
  assert not patients.pair_scans(make('T1'), make('T2'))


def test_people_are_told_apart_by_name_or_by_place(tmp_path):
  touch(tmp_path, 'tr/001/T1.nii', 'tr/001/T2.nii', 'te/001/T1.nii')
  (first,) = scans.find_scans(str(tmp_path / 'tr' / '*' / 'T1.nii'))
  (second,) = scans.find_scans(str(tmp_path / 'tr' / '*' / 'T2.nii'))
  (other,) = scans.find_scans(str(tmp_path / 'te' / '*' / 'T1.nii'))
  assert patients.tell_apart(first) & patients.tell_apart(second)
  assert not patients.tell_apart(first) & patients.tell_apart(other)
  assert patients.pair_scans([first], [second])


def test_hidden_folders_and_circles_of_links_are_passed_over(tmp_path):
  touch(tmp_path, 'a.nii', '.git/b.nii', '__MACOSX/c.nii', 'd/e.nii')
  (tmp_path / 'again').symlink_to(tmp_path)
  (tmp_path / 'd' / 'up').symlink_to(tmp_path)
  assert names(scans.find_scans(tmp_path)) == ['a', 'd/e']


def test_a_detached_header_brings_its_data_along(tmp_path):
  touch(tmp_path, 'x.raw')
  (tmp_path / 'x.mhd').write_text('NDims = 3\nElementDataFile = x.raw\n')
  (scan,) = scans.find_scans(tmp_path)
  assert [path.name for path in scan.paths] == ['x.mhd', 'x.raw']


def test_dicom_series_are_named_after_their_folders(tmp_path):
  like = volume.Volume(np.zeros((3, 3, 3), np.int16), np.eye(4))
  for place in ('anna', 'bert/head', 'carl/x', 'carl/y'):
    description = volume.Provenance(place, 'T2w', {})
    dicom_writer.write_series(tmp_path / place, like.voxels, like, description)
  for path in (tmp_path / 'carl' / 'y').iterdir():  # two series, one folder
    path.rename(tmp_path / 'carl' / 'x' / f'y{path.name}')
  found = scans.find_scans(tmp_path)
  assert [scan.patient for scan in found] == ['anna', 'bert', 'carl', 'carl']
  assert names(found)[:2] == ['anna', 'bert/head']
  assert 'from_carl_x' in found[2].name and 'from_carl_y' in found[3].name
  assert all(len(scan.paths) == 3 for scan in found)
  (alone,) = scans.find_scans(tmp_path / 'anna')
  assert alone.name == alone.patient == 'anna'
