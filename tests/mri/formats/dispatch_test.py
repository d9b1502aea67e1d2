"""Formats against the libraries that define them, and broken files."""

import gc
import gzip
import json
import resource
import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from cyclegan_jax import command_line
from cyclegan_jax import errors
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume
from cyclegan_jax.mri.formats import dispatch

_PROVENANCE = volume.Provenance('T1w', 'T2w', {'synthetic': True})


def read(path, **kwargs):
  (scan,) = scans.find_scans(path)
  return dispatch.read_scan(scan, **kwargs)


def oblique(spacing=(1.0, 2.0, 3.0)):
  from scipy.spatial import transform

  affine = np.eye(4)
  turn = transform.Rotation.from_euler('xyz', (10, -25, 40), degrees=True)
  affine[:3, :3] = turn.as_matrix() * spacing
  affine[:3, 3] = (-30, 12.5, 7)
  return affine


def values(dtype, shape=(5, 6, 7)):
  rng = np.random.default_rng(0)
  if np.dtype(dtype).kind == 'f':
    return rng.normal(size=shape).astype(dtype)
  limits = np.iinfo(dtype)
  return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize('suffix', ['.nii', '.nii.gz'])
@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.uint16, np.float32])
@pytest.mark.parametrize('kind', [nib.Nifti1Image, nib.Nifti2Image])
def test_nifti_is_read_without_loss(tmp_path, suffix, dtype, kind):
  voxels, affine = values(dtype), oblique()
  nib.save(kind(voxels, affine), tmp_path / f'x{suffix}')
  scan = read(tmp_path / f'x{suffix}')
  np.testing.assert_array_equal(scan.voxels, voxels)
  assert scan.voxels.dtype == dtype
  np.testing.assert_allclose(scan.affine, affine, rtol=1e-6)
  assert scan.spacing == pytest.approx((1, 2, 3))


@pytest.mark.parametrize(
  'name,plain', [('T1 pondéré', 'T1 pondere'), ('T1強調', 'T1??')]
)
def test_contrasts_may_have_names_of_any_language(tmp_path, name, plain):
  like = volume.Volume(values(np.float32), oblique())
  details = {'direction': f'{name} to T2w (ab)'}
  provenance = volume.Provenance(name, 'T2w', details)
  for target in ('x.nii.gz', 'x.nrrd', 'x.mha', 'x.npy', 'x.tif', 'x'):
    dispatch.write_scan(tmp_path / target, like.voxels, like, provenance)
  header = nib.load(tmp_path / 'x.nii.gz').header
  told = header['descrip'].item().decode()
  assert told == f'SYNTHETIC T2w from {plain}, not for diagnosis'
  (comment,) = header.extensions
  assert name in comment.get_content().decode()


def test_a_nifti_slope_is_applied(tmp_path):
  """As the standard has it: scl_slope at byte 112, scl_inter at 116."""
  stored = values(np.int16)
  nib.save(nib.Nifti1Image(stored, np.eye(4)), tmp_path / 'x.nii')
  content = bytearray((tmp_path / 'x.nii').read_bytes())
  content[112:120] = struct.pack('<ff', 0.5, -3)
  (tmp_path / 'x.nii').write_bytes(content)
  scan = read(tmp_path / 'x.nii')
  assert scan.voxels.dtype == np.float32
  np.testing.assert_array_equal(scan.voxels, stored * np.float32(0.5) - 3)


@pytest.mark.parametrize('codes', [(1, 1), (0, 2), (3, 0), (0, 0)])
def test_nifti_keeps_the_grid_and_its_codes_to_the_bit(tmp_path, codes):
  image = nib.Nifti2Image(values(np.int16), oblique())
  image.set_qform(oblique(), code=codes[0])
  image.set_sform(oblique(), code=codes[1])
  nib.save(image, tmp_path / 'x.nii')
  like = read(tmp_path / 'x.nii')
  target = tmp_path / 'new' / 'y.nii.gz'
  dispatch.write_scan(target, values(np.float32), like, _PROVENANCE)
  written = nib.load(target)
  source = nib.load(tmp_path / 'x.nii')
  np.testing.assert_array_equal(written.affine, source.affine)
  for form in ('get_qform', 'get_sform'):
    here, there = (getattr(x, form)(coded=True) for x in (written, source))
    assert here[1] == there[1]
    if here[1]:
      np.testing.assert_array_equal(here[0], there[0])
  assert isinstance(written, nib.Nifti2Image)
  assert written.get_data_dtype() == np.float32
  np.testing.assert_array_equal(written.get_fdata(), values(np.float32))
  assert written.header['descrip'].item().decode() == _PROVENANCE.description
  (extension,) = written.header.extensions
  assert json.loads(extension.get_content())['synthetic'] is True
  assert list(target.parent.iterdir()) == [target]  # nothing else is left


@pytest.mark.parametrize('suffix', ['.nrrd', '.mha'])
@pytest.mark.parametrize('dtype', [np.int16, np.uint16, np.float32])
def test_itk_formats_are_read_and_written_where_nifti_puts_them(
  tmp_path, suffix, dtype
):
  """The same scan through NIfTI, which has its own reader, is the judge."""
  voxels, affine = values(dtype), oblique()
  nib.save(nib.Nifti1Image(voxels, affine), tmp_path / 'x.nii')
  image = sitk.ReadImage(str(tmp_path / 'x.nii'))
  sitk.WriteImage(image, str(tmp_path / f'x{suffix}'))
  scan = read(tmp_path / f'x{suffix}')
  assert scan.voxels.dtype == dtype
  np.testing.assert_array_equal(scan.voxels, voxels)
  np.testing.assert_allclose(scan.affine, affine, atol=1e-5)

  target = tmp_path / f'y{suffix}'
  dispatch.write_scan(target, voxels, scan, _PROVENANCE)
  np.testing.assert_array_equal(read(target).affine, scan.affine)
  np.testing.assert_array_equal(read(target).voxels, voxels)

  nifti = read(tmp_path / 'x.nii')  # and from another format's grid
  dispatch.write_scan(target, voxels, nifti, _PROVENANCE)
  np.testing.assert_allclose(read(target).affine, affine, atol=1e-5)


def test_a_sheared_grid_does_not_fit_into_nrrd(tmp_path):
  affine = np.eye(4)
  affine[0, 1] = 0.3
  like = volume.Volume(values(np.float32), affine)
  with pytest.raises(errors.UserError, match='sheared grid.*write .nii.gz'):
    dispatch.write_scan(
      tmp_path / 'x.nrrd', values(np.float32), like, _PROVENANCE
    )
  assert not list(tmp_path.iterdir())


def test_npy_is_a_stack_as_it_is_looked_at(tmp_path):
  voxels = values(np.int16)
  np.save(tmp_path / 'x.npy', voxels)
  scan = read(tmp_path / 'x.npy')
  assert not scan.measured
  np.testing.assert_array_equal(
    volume.to_plane(scan.voxels, scan.affine, 'axial'), voxels
  )
  dispatch.write_scan(tmp_path / 'y.npy', voxels, scan, _PROVENANCE)
  np.testing.assert_array_equal(np.load(tmp_path / 'y.npy'), voxels)
  np.save(tmp_path / 'x.npy', voxels[0])
  assert read(tmp_path / 'x.npy').voxels.shape == (1, 6, 7)


def test_four_dimensions_want_a_choice(tmp_path):
  voxels = values(np.int16, (4, 5, 6, 3))
  nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / 'x.nii.gz')
  with pytest.raises(errors.UserError, match=r'x.nii.gz holds 3 volumes'):
    read(tmp_path / 'x.nii.gz')
  chosen = read(tmp_path / 'x.nii.gz', index=2)
  np.testing.assert_array_equal(chosen.voxels, voxels[..., 2])


def test_voxels_that_are_no_number_become_background_with_a_note(tmp_path):
  voxels = values(np.float32)
  voxels[0, 0, :2] = np.nan, np.inf
  nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / 'x.nii')
  scan = read(tmp_path / 'x.nii')
  least = np.nanmin(voxels)
  np.testing.assert_array_equal(scan.voxels[0, 0, :2], least)
  assert '2 of 210 voxels are NaN or infinite' in scan.notes[0]
  nib.save(nib.Nifti1Image(voxels * np.nan, np.eye(4)), tmp_path / 'x.nii')
  with pytest.raises(errors.UserError, match='x.nii: no voxel is a number'):
    read(tmp_path / 'x.nii')


def break_files(root):
  """Files that are not what they say, by what their error has to tell."""
  good = nib.Nifti1Image(values(np.float32, (20, 20, 20)), np.eye(4))
  nib.save(good, root / 'cut.nii.gz')
  whole = (root / 'cut.nii.gz').read_bytes()
  (root / 'cut.nii.gz').write_bytes(whole[: len(whole) // 2])
  nib.save(good, root / 'short.nii')
  whole = (root / 'short.nii').read_bytes()
  (root / 'short.nii').write_bytes(whole[: len(whole) // 2])
  for suffix in ('.nii', '.nii.gz', '.nrrd', '.mha', '.npy'):
    (root / f'text{suffix}').write_text('these are no voxels\n' * 50)
  with gzip.open(root / 'zipped.nii.gz', 'wb') as file:
    file.write(b'no header')
  rgb = np.zeros((3, 3, 3), [('R', 'u1'), ('G', 'u1'), ('B', 'u1')])
  nib.save(nib.Nifti1Image(rgb, np.eye(4)), root / 'colour.nii')
  waves = values(np.float32).astype(np.complex64)
  nib.save(nib.Nifti1Image(waves, np.eye(4)), root / 'complex.nii')
  flat = nib.Nifti1Image(values(np.float32, (4, 5)), np.eye(4))
  nib.save(flat, root / 'flat.nii')
  np.save(root / 'words.npy', np.array(['a', 'b']))


def test_broken_files_are_named_in_one_line(tmp_path):
  break_files(tmp_path)
  found = scans.find_scans(tmp_path)
  assert len(found) == 12
  for scan in found:
    with pytest.raises(errors.UserError) as caught:
      dispatch.read_scan(scan)
    message = str(caught.value)
    assert str(scan.paths[0]) in message and '\n' not in message.strip()


@pytest.mark.parametrize('index', [None, 0])
def test_a_compressed_file_with_one_wrong_byte_is_damaged(tmp_path, index):
  """Also where reading ends before the checksum, as of the first of two."""
  path = tmp_path / 'x.nii.gz'
  shape = (20, 20, 20) if index is None else (20, 20, 20, 2)
  nib.save(nib.Nifti1Image(values(np.int16, shape), np.eye(4)), path)
  content = bytearray(path.read_bytes())
  content[-6] ^= 1  # of the checksum
  path.write_bytes(content)
  with pytest.raises(errors.UserError, match='x.nii.gz cannot .* checksum'):
    read(path, index=index)


def test_a_target_that_nothing_can_write_is_refused(tmp_path):
  for name in ('x.txt', 'x.mhd', 'x.nhdr'):
    with pytest.raises(errors.UserError, match=r'cannot write \.'):
      dispatch.is_file_target(tmp_path / name)
  for name in ('x.nii.gz', 'x.NRRD', 'x.dcm'):
    assert dispatch.is_file_target(tmp_path / name)
  for name in ('folder', 'out_v1.2', '1.2.840.1'):
    assert not dispatch.is_file_target(tmp_path / name)


def test_an_nrrd_file_may_tell_its_space_by_dimension(tmp_path):
  image = sitk.GetImageFromArray(values(np.int16))
  path = tmp_path / 'x.nrrd'
  sitk.WriteImage(image, str(path))
  named, counted = b'space: left-posterior-superior', b'space dimension: 3'
  path.write_bytes(path.read_bytes().replace(named, counted))
  scan = read(path)
  dispatch.write_scan(tmp_path / 'y.nrrd', scan.voxels, scan, _PROVENANCE)
  np.testing.assert_array_equal(read(tmp_path / 'y.nrrd').voxels, scan.voxels)


def test_a_fourth_dimension_of_one_is_none(tmp_path):
  voxels = values(np.int16, (4, 5, 6, 1))
  np.save(tmp_path / 'x.npy', voxels)
  assert read(tmp_path / 'x.npy').voxels.shape == (4, 5, 6)
  nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / 'x.nii')
  assert read(tmp_path / 'x.nii').voxels.shape == (4, 5, 6)


@pytest.mark.parametrize('name', ['x.nii.gz', 'series'])
def test_what_cannot_be_finished_leaves_what_it_was_to_replace(tmp_path, name):
  like = volume.Volume(values(np.float32), oblique())

  def write(voxels, finish=lambda written: None):
    place = tmp_path / name
    dispatch.write_scan(place, voxels, like, _PROVENANCE, finish=finish)

  def fail(written):
    raise OSError('No space left on device')

  write(like.voxels)
  before = read(tmp_path / name).voxels
  with pytest.raises(OSError, match='No space'):
    write(like.voxels + 5, fail)
  np.testing.assert_array_equal(read(tmp_path / name).voxels, before)
  assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
  'name', ['x.nii.gz', 'x.nii', 'x.nrrd', 'x.mha', 'x.npy', 'x.tif', 'series']
)
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_a_disk_that_takes_no_more_is_told_with_the_place(tmp_path, name):
  """Here by a limit of this process, as of a quota; nothing is left."""
  like = volume.Volume(values(np.float32, (40, 40, 3)), oblique())
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
  try:
    with pytest.raises(OSError) as raised:
      dispatch.write_scan(tmp_path / name, like.voxels, like, _PROVENANCE)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
  line = command_line.explain_disk(raised.value)
  del raised
  gc.collect()  # what nibabel could not write it tries again when it closes
  assert line.startswith(f'{tmp_path / name}: ') and '\n' not in line
  assert list(tmp_path.iterdir()) == []
