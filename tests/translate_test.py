"""A trained run, applied to scans: geometry kept, nothing lost, all told."""

import json
import pathlib
import subprocess
import sys

import nibabel as nib
import numpy as np
from PIL import Image
import pydicom
import pytest
from scipy.spatial import transform

from cyclegan_jax import errors
from cyclegan_jax import translate
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dispatch

_ROOT = pathlib.Path(__file__).parent.parent


def read(path):
  (scan,) = scans.find_scans(path)
  return dispatch.read_scan(scan)


def run(trained, source, target, **changes):
  arguments = dict(direction='ab', source=str(source), target=str(target))
  translate.translate(str(trained), **arguments | changes)


@pytest.fixture
def head(tmp_path, make_head, save_nifti):
  """A coarse, turned scan of signed 16-bit voxels."""
  affine = np.array(
    [[0, 0, 2, 5], [-1.5, 0, 0, 7], [0, 1.5, 0, -9], [0, 0, 0, 1.0]]
  )
  voxels = make_head((24, 20, 11)).astype(np.int16) - 20
  return save_nifti(tmp_path / 'scans' / 'anna_T1.nii.gz', voxels, affine)


@pytest.mark.portable
def test_a_nifti_file_keeps_its_grid_and_says_what_it_is(
  trained, head, tmp_path
):
  target = tmp_path / 'out' / 'anna_T2.nii.gz'
  run(trained, head, target, preview=True)
  source, fake = nib.load(head), nib.load(target)
  np.testing.assert_array_equal(fake.affine, source.affine)
  assert fake.shape == source.shape
  assert fake.get_data_dtype() == np.float32
  assert 'not for diagnosis' in fake.header['descrip'].item().decode()
  sidecar = json.loads((tmp_path / 'out' / 'anna_T2.json').read_text())
  assert sidecar['synthetic'] is True and sidecar['checkpoint'] == 4
  assert sidecar['direction'] == 'T1w to T2w (ab)'
  assert sidecar['source'] == 'anna_T1.nii.gz'
  assert str(tmp_path) not in json.dumps(sidecar)
  values = fake.get_fdata()
  low, high = sidecar['intensities']['air_to_bright']
  assert low <= values.min() < values.max() <= 2 * high
  with Image.open(tmp_path / 'out' / 'anna_T2_preview.png') as picture:
    assert picture.width > 100
  assert sorted(p.name for p in target.parent.iterdir()) == [
    'anna_T2.json',
    'anna_T2.nii.gz',
    'anna_T2_preview.html',
    'anna_T2_preview.png',
  ]


def write_as(kind, root, voxels):
  """A scan in another orientation or format, and where to translate it."""
  turn = transform.Rotation.from_euler('xyz', (5, -12, 25), degrees=True)
  affine = np.eye(4)
  affine[:3, 3] = (-40, 12.5, 3)
  if kind == 'lps':
    affine = np.diag([-1.0, -1, 1, 1]) @ affine
  if kind in ('oblique', 'dicom', 'nrrd'):
    affine[:3, :3] = turn.as_matrix()
  like = volume_lib.Volume(voxels, affine)
  name = {'dicom': 'scan', 'nrrd': 'scan.nrrd'}.get(kind, 'scan.nii.gz')
  provenance = volume_lib.Provenance('x', 'y', {})
  dispatch.write_scan(root / 'in' / name, voxels, like, provenance)
  return root / 'in' / name, root / 'out' / name


@pytest.mark.parametrize('kind', ['ras', 'lps', 'oblique', 'dicom', 'nrrd'])
@pytest.mark.parametrize('shape', [(24, 20, 11), (17, 33, 26)])
def test_an_identity_gives_the_file_back(
  make_head, use_identity, tmp_path, kind, shape
):
  """Every voxel within 1e-4 of the range, the affine to the bit."""
  source, target = write_as(kind, tmp_path, make_head(shape) - 30)
  before = read(source)
  use_identity(intensity.fit_scaling(before.voxels))
  run('none', source, target)
  after = read(target)
  np.testing.assert_array_equal(after.affine, before.affine)
  np.testing.assert_allclose(
    after.voxels, before.voxels, atol=1e-4 * float(np.ptp(before.voxels))
  )


def test_the_inputs_type_is_an_option(trained, head, tmp_path):
  run(trained, head, tmp_path / 'x.nii', voxel_type='input')
  assert nib.load(tmp_path / 'x.nii').get_data_dtype() == np.int16
  small = nib.Nifti1Image(
    nib.load(head).get_fdata().clip(0, 255).astype(np.uint8), np.eye(4)
  )
  nib.save(small, tmp_path / 'u8.nii')
  with pytest.raises(errors.UserError, match='uint8 cannot hold the result'):
    run(trained, tmp_path / 'u8.nii', tmp_path / 'y.nii', voxel_type='input')


@pytest.mark.parametrize('dtype', [np.float16, np.int64, '>i2'])
def test_types_that_nifti_lacks_become_alike_ones(
  trained, make_head, tmp_path, dtype
):
  np.save(tmp_path / 'x.npy', make_head().astype(dtype))
  run(trained, tmp_path / 'x.npy', tmp_path / 'y.nii', voxel_type='input')
  assert nib.load(tmp_path / 'y.nii').get_data_dtype().kind in 'if'


@pytest.mark.parametrize('name', ['x.nrrd', 'x.mha', 'x.npy', 'x.tif'])
def test_the_targets_suffix_decides_the_format(trained, head, tmp_path, name):
  run(trained, head, tmp_path / name)
  run(trained, head, tmp_path / 'x.nii')
  expected, fake = read(tmp_path / 'x.nii'), read(tmp_path / name)
  if fake.measured:
    np.testing.assert_allclose(fake.affine, expected.affine, atol=1e-5)
  voxels = expected.voxels
  if name == 'x.tif':  # pictures of the axial slices
    voxels = volume_lib.to_plane(voxels, expected.affine, 'axial')
  np.testing.assert_allclose(fake.voxels, voxels, rtol=1e-5)


def test_dicom_in_dicom_out_a_derived_series_of_the_same_place(
  trained, head, tmp_path
):
  like = read(head)
  dispatch.write_scan(
    tmp_path / 'in', like.voxels, like, volume_lib.Provenance('x', 'y', {})
  )
  run(trained, tmp_path / 'in', tmp_path / 'out')
  here, there = (
    [pydicom.dcmread(path) for path in sorted((tmp_path / name).glob('*.dcm'))]
    for name in ('in', 'out')
  )
  assert len(here) == len(there) == 11
  for source, fake in zip(here, there, strict=True):
    assert fake.ImagePositionPatient == source.ImagePositionPatient
    assert fake.ImageOrientationPatient == source.ImageOrientationPatient
    assert fake.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert fake.StudyInstanceUID == source.StudyInstanceUID
    assert fake.SOPInstanceUID != source.SOPInstanceUID
    assert fake.SeriesInstanceUID != source.SeriesInstanceUID
    assert list(fake.ImageType[:2]) == ['DERIVED', 'SECONDARY']
    assert 'not for diagnosis' in fake.SeriesDescription
  # The same head as NIfTI gives the same voxels, to DICOM's 16 bits.
  run(trained, head, tmp_path / 'x.nii')
  expected = read(tmp_path / 'x.nii')
  fake = read(tmp_path / 'out')
  for each in (expected, fake):
    assert each.voxels.size == 24 * 20 * 11
  first, second = (
    volume_lib.to_plane(v.voxels, v.affine, 'axial') for v in (expected, fake)
  )
  np.testing.assert_allclose(first, second, atol=2e-3 * np.ptp(first))


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_a_picture_stays_one_of_its_size_and_depth(trained, tmp_path, dtype):
  top = np.iinfo(dtype).max
  y, x = np.mgrid[:50, :30]
  inside = (y - 25) ** 2 + (x - 15) ** 2 < 200
  Image.fromarray((inside * top).astype(dtype)).save(tmp_path / 'x.png')
  run(trained, tmp_path / 'x.png', tmp_path / 'y.png')
  fake = read(tmp_path / 'y.png')
  assert fake.voxels.dtype == dtype and fake.voxels.shape == (1, 50, 30)


def test_black_pictures_among_others_stay_black(trained, tmp_path):
  """The outer slices of a head; of faint noise, too, nothing is made up."""
  disc = np.zeros((40, 40), np.uint8)
  disc[8:32, 8:32] = 200
  faint = np.random.default_rng(0).integers(0, 4, (40, 40), np.uint8)
  pictures = {'0': 0 * disc, '1': disc, '2': faint, '3': disc.astype('u2') * 0}
  (tmp_path / 'in').mkdir()
  for name, pixels in pictures.items():
    Image.fromarray(pixels).save(tmp_path / 'in' / f'{name}.png')
  run(trained, tmp_path / 'in', tmp_path / 'out', preview=True)
  for name in '023':
    fake = read(tmp_path / 'out' / f'{name}.png').voxels
    assert fake.dtype == pictures[name].dtype
    np.testing.assert_array_equal(fake[0], pictures[name])
  assert np.ptp(read(tmp_path / 'out' / '1.png').voxels)


def test_one_bad_file_among_many_does_not_lose_the_others(
  trained, head, tmp_path, capsys
):
  folder = head.parent
  voxels = nib.load(head)
  for name in ('bert/T1.nii', 'carl/deep/er/T1.nii.gz'):
    (folder / name).parent.mkdir(parents=True)
    nib.save(voxels, folder / name)
  (folder / 'bad.nii.gz').write_text('no voxels')
  (folder / 'README.txt').write_text('not a scan')
  target = tmp_path / 'out'
  with pytest.raises(
    errors.Incomplete, match=r'1 of 4 scans .* the first: .*bad.nii.gz'
  ):
    run(trained, folder, target)
  written = sorted(p.relative_to(target) for p in target.rglob('*.nii*'))
  assert list(map(str, written)) == [
    'anna_T1.nii.gz',
    'bert/T1.nii',
    'carl/deep/er/T1.nii.gz',
  ]
  assert not list(target.rglob('*partial*'))

  kept = (target / 'bert' / 'T1.nii').stat().st_mtime_ns
  (folder / 'bad.nii.gz').unlink()
  capsys.readouterr()
  run(trained, folder, target)
  assert '3 exist already' in capsys.readouterr().out
  assert (target / 'bert' / 'T1.nii').stat().st_mtime_ns == kept
  run(trained, folder, target, overwrite=True)
  assert (target / 'bert' / 'T1.nii').stat().st_mtime_ns != kept


def test_a_scan_that_fails_leaves_nothing_behind(trained, tmp_path):
  (tmp_path / 'bad.nii').write_text('no voxels')
  with pytest.raises(errors.UserError, match='bad.nii is not a NIfTI'):
    run(trained, tmp_path / 'bad.nii', tmp_path / 'out' / 'x.nii')
  assert not (tmp_path / 'out').exists()


def test_targets_that_would_do_harm_are_refused(trained, head, tmp_path):
  run(trained, head, tmp_path / 'x.nii')
  with pytest.raises(errors.UserError, match='x.nii exists; --overwrite'):
    run(trained, head, tmp_path / 'x.nii')
  with pytest.raises(errors.UserError, match='inside --source'):
    run(trained, head.parent, head.parent / 'out')
  with pytest.raises(errors.UserError, match='cannot write .txt'):
    run(trained, head, tmp_path / 'x.txt')
  nib.save(nib.load(head), head.parent / 'more.nii')
  with pytest.raises(errors.UserError, match='holds 2 scans .* name a folder'):
    run(trained, head.parent, tmp_path / 'y.nii')


def test_planes_the_networks_never_saw_are_refused(trained, head, tmp_path):
  with pytest.raises(errors.UserError, match='trained on axial, coronal slic'):
    run(trained, head, tmp_path / 'x.nii', planes=['axial', 'sagittal'])
  run(trained, head, tmp_path / 'x.nii', planes=['axial', 'coronal'])
  run(trained, head, tmp_path / 'y.nii')
  both, one = (read(tmp_path / n).voxels for n in ('x.nii', 'y.nii'))
  assert not np.array_equal(both, one)


def test_the_command_line_translates_back_too(trained, head, tmp_path):
  command = [
    *(sys.executable, 'launch.py', '--mode=translate'),
    *(f'--workdir={trained}', '--direction=ba', f'--source={head}'),
    *(f'--target={tmp_path / "x.nii.gz"}', '--preview'),
  ]
  result = subprocess.run(
    command, cwd=_ROOT, capture_output=True, text=True, check=False
  )
  assert result.returncode == 0, result.stderr
  assert 'T2w to T1w' in result.stdout and 'not for diagnosis' in result.stdout
  assert read(tmp_path / 'x.nii.gz').voxels.shape == (24, 20, 11)
  again = subprocess.run(
    command, cwd=_ROOT, capture_output=True, text=True, check=False
  )
  assert again.returncode == 2
  (line,) = again.stderr.splitlines()
  assert line.startswith('launch.py: ') and 'x.nii.gz exists' in line


def test_no_source_is_ever_replaced(trained, head, tmp_path):
  content = head.read_bytes()
  (tmp_path / 'link').symlink_to(head.parent)
  for source, target in [
    (head, head),
    (head, head.parent),
    (f'{head.parent}/*.nii.gz', head.parent),
    (f'{head.parent}/*.nii.gz', tmp_path / 'link'),
    (head, tmp_path / 'link' / head.name),
  ]:
    with pytest.raises(errors.UserError, match='would replace a scan'):
      run(trained, source, target, overwrite=True)
  assert head.read_bytes() == content


def test_other_peoples_files_are_left_alone(trained, head, tmp_path):
  """A sidecar of somebody else's beside the target, as BIDS has."""
  (tmp_path / 'x.json').write_text('{"EchoTime": 0.1}')
  with pytest.raises(errors.UserError, match='x.nii exists'):
    run(trained, head, tmp_path / 'x.nii')
  assert 'EchoTime' in (tmp_path / 'x.json').read_text()
  (tmp_path / 'x.json').write_text('{"synthetic": true}')  # interrupted
  run(trained, head, tmp_path / 'x.nii')
  assert (tmp_path / 'x.nii').exists()


def test_scans_of_one_name_do_not_share_an_output(trained, tmp_path):
  folder = tmp_path / 'in'
  folder.mkdir()
  disc = np.zeros((40, 40), np.uint8)
  disc[8:32, 8:32] = 200
  for name in ('s.png', 's.jpg', 's.tif'):
    Image.fromarray(disc).save(folder / name)
  run(trained, folder, tmp_path / 'out', preview=True)
  names = {path.name for path in (tmp_path / 'out').iterdir()}
  assert {'s_png.png', 's_jpg.png', 's_tif.tif'} < names
  assert len([n for n in names if n.endswith('.json')]) == 3
  assert len([n for n in names if n.endswith('_preview.png')]) == 3
  for path in (tmp_path / 'out').glob('s_???.png'):
    assert read(path).voxels.shape == (1, 40, 40)


def test_folders_may_have_dots_in_their_names(trained, head, tmp_path):
  like = read(head)
  provenance = volume_lib.Provenance('x', 'y', {})
  for name in ('1.2.840.1', '1.2.840.2'):
    dispatch.write_scan(tmp_path / 'in' / name, like.voxels, like, provenance)
  run(trained, tmp_path / 'in', tmp_path / 'out_v1.2')
  names = sorted(path.name for path in (tmp_path / 'out_v1.2').iterdir())
  assert names == [
    '1.2.840.1',
    '1.2.840.1.json',
    '1.2.840.2',
    '1.2.840.2.json',
  ]


def test_a_series_among_other_scans_gets_its_own_folder(
  trained, head, tmp_path
):
  like = read(head)
  provenance = volume_lib.Provenance('x', 'y', {})
  dispatch.write_scan(tmp_path / 'in/anna', like.voxels, like, provenance)
  dispatch.write_scan(tmp_path / 'in/anna/x.nii', like.voxels, like, provenance)
  for _ in range(2):
    run(trained, tmp_path / 'in', tmp_path / 'out', overwrite=True)
  assert len(list((tmp_path / 'out/anna/dicom').glob('*.dcm'))) == 11
  assert (tmp_path / 'out/anna/x.nii').exists()


def test_links_that_lead_to_themselves_fail_alone(trained, head, tmp_path):
  for name in ('loop.nii', 'loop', 'loop.png', 'loop.npy'):
    (head.parent / name).symlink_to(head.parent / name)
  (head.parent / 'round').symlink_to(head.parent)
  with pytest.raises(errors.Incomplete, match='3 of 4 scans could.*loop'):
    run(trained, head.parent, tmp_path / 'out')
  assert (tmp_path / 'out' / head.name).exists()


def test_scans_with_odd_geometry_fail_alone(trained, head, tmp_path):
  good = nib.load(head)
  nib.save(good, head.parent / 'flat.nii')
  header = bytearray((head.parent / 'flat.nii').read_bytes())
  header[312:328] = bytes(16)  # srow_z: all voxels lie in one plane
  (head.parent / 'flat.nii').write_bytes(header)
  huge = nib.Nifti1Image(good.get_fdata(), np.diag([1000.0, 1000, 1000, 1]))
  nib.save(huge, head.parent / 'huge.nii')
  (head.parent / 'notes.dcm').write_text('no dicom')
  with pytest.raises(errors.Incomplete, match='2 of 3 scans could not'):
    run(trained, head.parent, tmp_path / 'out')
  assert (tmp_path / 'out' / head.name).exists()
