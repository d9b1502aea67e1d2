"""Whose a scan is stays where it was: in the scan, unless it is asked for."""

from concurrent import futures
import gzip
import json
import re

import numpy as np
import pydicom
import pytest

from cyclegan_jax import errors
from cyclegan_jax import translate
from cyclegan_jax.data import sources
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import identity
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dicom_writer
from cyclegan_jax.mri.formats import dispatch
from cyclegan_jax.pages import assets

_SECRETS = dict(
  PatientName='DOE^JANE',
  PatientID='MRN-7712345',
  PatientBirthDate='19470312',
  ReferringPhysicianName='HOUSE^GREGORY',
  AccessionNumber='ACC-998877',
  InstitutionName='Sankt Elsewhere',
)
_WORDS = (b'DOE', b'JANE', *(each.encode() for each in _SECRETS.values()))


def write_dicom(folder, voxels, **changes):
  """A series that says who it is of."""
  like = volume_lib.Volume(voxels, np.eye(4))
  provenance = volume_lib.Provenance('x', 'T1w', {})
  dicom_writer.write_series(folder, voxels, like, provenance)
  for path in folder.iterdir():
    dataset = pydicom.dcmread(path)
    for keyword, value in (_SECRETS | changes).items():
      setattr(dataset, keyword, value)
    dataset.save_as(path)
  return folder


def find_secrets(root, words=_WORDS):
  """What of them is in files, or in their names."""
  found = []
  for path in root.rglob('*'):
    held = path.read_bytes() if path.is_file() else b''
    if path.suffix == '.gz':
      held = gzip.decompress(held)
    if path.suffix == '.html':  # the viewer's own words are nobody's
      held = held.replace(assets.read_niivue().encode(), b'')
      held = re.sub(rb'[A-Za-z0-9+/=]{200,}', b'', held)  # packed voxels
    held += str(path.relative_to(root)).encode()
    found += [(path, word) for word in words if word.lower() in held.lower()]
  return found


@pytest.fixture
def identical(use_identity, tmp_path, make_head):
  """A workdir whose networks change nothing."""
  use_identity(intensity.fit_scaling(make_head()))
  (tmp_path / 'run').mkdir()

  def run(source, target, **options):
    translate.translate(
      str(tmp_path / 'run'),
      direction='ab',
      source=str(source),
      target=str(target),
      **options,
    )

  return run


@pytest.mark.parametrize('layout', ['a folder each', 'one folder'])
def test_what_is_kept_of_dicom_names_nobody(tmp_path, make_head, layout):
  """Caches, records and the marks that go into checkpoints."""
  for number in range(2):
    folder = tmp_path / 'in' / f'p{number}'
    write_dicom(
      folder, make_head(seed=number), PatientID=f'MRN-7712345-{number}'
    )
    if layout == 'one folder':
      for path in folder.iterdir():
        path.rename(folder.parent / f'{number}{path.name}')
      folder.rmdir()
  write_dicom(tmp_path / 'other' / 'p2', make_head(seed=2), PatientID='MRN-2')
  named = {'train_a': str(tmp_path / 'in'), 'train_b': str(tmp_path / 'other')}
  names = tuple(named)
  data = sources.open_data(
    named,
    dict.fromkeys(names, framing.SliceSettings(size=32)),
    cache=tmp_path / 'cache',
    min_foreground=0.02,
    slice_range=(0.0, 1.0),
    simulated=False,
  )
  (tmp_path / 'cache' / 'meta.json').write_text(
    json.dumps([data.patients, data.fingerprints(), repr(data.train)])
  )
  assert len(data.train['a'].patients) == 2
  assert find_secrets(tmp_path / 'cache') == []


@pytest.mark.parametrize('target', ['x.nii.gz', 'x.nrrd', 'x.mha', 'x.tif'])
def test_other_formats_take_nothing_from_dicom(
  identical, tmp_path, make_head, target
):
  source = write_dicom(tmp_path / 'in', make_head())
  identical(source, tmp_path / 'out' / target, preview=True)
  # The scan, what is said of it, a picture and a page.
  assert len(list((tmp_path / 'out').iterdir())) == 4
  assert find_secrets(tmp_path / 'out') == []


def test_a_study_is_taken_apart_from_its_patient(
  identical, tmp_path, make_head, save_nifti, capsys
):
  """In several folders that are named after people, and again later."""
  source = tmp_path / 'in'
  for place in ('DOE_JANE/t1', 'DOE_JANE/t2'):
    write_dicom(source / place, make_head(), StudyInstanceUID='1.2.3.4567')
  save_nifti(source / 'DOE_JANE' / 'quux.nii.gz', make_head())
  target = tmp_path / 'out'
  identical(source, target, deidentify=True, preview=True)
  assert find_secrets(target, (*_WORDS, b'1.2.3.4567', b'quux')) == []
  datasets = [pydicom.dcmread(path) for path in target.rglob('*.dcm')]
  assert len({each.StudyInstanceUID for each in datasets}) == 1
  assert len({each.SeriesInstanceUID for each in datasets}) == 2
  (folder,) = target.iterdir()  # all of one patient
  assert len(list(folder.glob('*.json'))) == 3
  for path in folder.glob('*.json'):
    fields = json.loads(path.read_text())
    assert fields['deidentified'] is True and 'source' not in fields

  # What is done is known again by its name; a file that is lost comes again.
  (lost,) = folder.glob('*.nii.gz')
  lost.unlink()
  capsys.readouterr()
  identical(source, target, deidentify=True)
  assert '2 exist already' in capsys.readouterr().out
  assert lost.exists()


def test_a_series_with_text_in_its_pixels_is_refused(
  identical, tmp_path, make_head
):
  source = write_dicom(tmp_path / 'in', make_head(), BurnedInAnnotation='YES')
  with pytest.raises(errors.UserError, match='in .*text in its pixels'):
    identical(source, tmp_path / 'x.nii', deidentify=True)
  assert not (tmp_path / 'x.nii').exists()
  identical(source, tmp_path / 'x.nii')


def test_the_key_is_made_once_and_for_its_owner(tmp_path):
  one, two = (identity.open_pseudonyms(tmp_path) for _ in range(2))
  assert one == two and len(one.key) == 32
  path = tmp_path / identity.KEY_FILE
  assert path.stat().st_mode & 0o077 == 0
  assert [each.name for each in tmp_path.iterdir()] == [path.name]
  path.write_bytes(b'short')
  with pytest.raises(errors.UserError, match='is no key of --deidentify; del'):
    identity.open_pseudonyms(tmp_path)
  with pytest.raises(errors.UserError, match='key in .*, which cannot be used'):
    identity.open_pseudonyms(tmp_path / 'nowhere')


def test_processes_that_start_together_take_one_key(tmp_path):
  with futures.ThreadPoolExecutor(8) as pool:
    found = pool.map(identity.open_pseudonyms, [tmp_path] * 32)
    assert len(set(found)) == 1


def test_pseudonyms_tell_nothing_and_stay_apart():
  one, two = identity.Pseudonyms(b'a' * 32), identity.Pseudonyms(b'b' * 32)
  assert one.uid('1.2.3') != two.uid('1.2.3') != one.uid('1.2.4')
  assert len(one.uid('1.2.3')) <= 64 and one.uid('1.2.3').startswith('2.25.')
  assert one.code('patient', 'a', 'bc') != one.code('patient', 'ab', 'c')
  assert one.code('patient', 'a') != one.code('scan', 'a')


def test_numbers_of_patients_do_not_become_names(tmp_path, make_head):
  for number in range(2):
    folder = write_dicom(
      tmp_path / f'{number}', make_head(), PatientID=f'MRN-7712345-{number}'
    )
    for path in folder.iterdir():
      path.rename(tmp_path / f'{number}{path.name}')
    folder.rmdir()
  found = scans.find_scans(tmp_path)
  assert len({scan.patient for scan in found}) == 2
  assert not any('7712345' in scan.patient for scan in found)
  assert dispatch.read_scan(found[0]).voxels.size
