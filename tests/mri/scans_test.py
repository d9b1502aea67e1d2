import numpy as np
import pytest

from cyclegan_jax import errors
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


def test_hidden_folders_are_passed_over_and_circles_of_links_named(tmp_path):
  touch(tmp_path, 'a.nii', '.git/b.nii', '__MACOSX/c.nii', 'd/e.nii')
  (tmp_path / 'again').symlink_to(tmp_path)
  (tmp_path / 'd' / 'up').symlink_to(tmp_path)
  (tmp_path / 'd' / 'loop').symlink_to('loop')
  (tmp_path / 'loop.nii').symlink_to('loop.nii')
  (tmp_path / 'gone.nii').symlink_to('nowhere.nii')
  notes = []
  found = scans.find_scans(tmp_path, warn=notes.append)
  assert names(found) == ['a', 'd/e', 'gone', 'loop']
  assert sorted(notes) == [
    f'{tmp_path}/again is left out: it leads to {tmp_path}, read already',
    f'{tmp_path}/d/loop is left out: it is a link that leads nowhere',
    f'{tmp_path}/d/up is left out: it leads to {tmp_path}, read already',
  ]
  for scan, where in zip(found[2:], ('nowhere', 'to itself'), strict=True):
    with pytest.raises(errors.UserError, match=f'a link that leads {where};'):
      dispatch.read_scan(scan)
  with pytest.raises(errors.UserError, match='link that leads to itself; take'):
    scans.find_scans(tmp_path / 'loop.nii')


def test_a_detached_header_brings_its_data_along(tmp_path):
  touch(tmp_path, 'x.raw')
  (tmp_path / 'x.mhd').write_text('NDims = 3\nElementDataFile = x.raw\n')
  (scan,) = scans.find_scans(tmp_path)
  assert [path.name for path in scan.paths] == ['x.mhd', 'x.raw']


def test_dicom_without_an_image_is_named(tmp_path):
  (tmp_path / 'a.dcm').write_bytes(b'DICM' * 99)
  touch(tmp_path, 'x.nii')
  notes = []
  assert names(scans.find_scans(tmp_path, warn=notes.append)) == ['x']
  assert len(notes) == 1 and 'a.dcm holds no image (of no' in notes[0]


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
