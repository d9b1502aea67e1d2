"""The door for programs: the same as the command line, for images of theirs."""

import os
import pathlib
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

import cyclegan_jax
from cyclegan_jax import errors
from cyclegan_jax import translate


@pytest.fixture(scope='module')
def model(trained):
  return cyclegan_jax.load(trained, direction='ab')


@pytest.fixture(scope='module')
def head(tmp_path_factory, make_head, save_nifti):
  """A turned scan of 16-bit voxels, and what the command line makes of it."""
  affine = np.array(
    [[0, 0, 2, 5], [-1.5, 0, 0, 7], [0, 1.5, 0, -9], [0, 0, 0, 1.0]]
  )
  voxels = make_head((24, 20, 11)).astype(np.int16) - 20
  folder = tmp_path_factory.mktemp('door')
  return save_nifti(folder / 'scans' / 'anna_T1.nii.gz', voxels, affine)


@pytest.fixture(scope='module')
def expected(trained, head):
  target = head.parent.parent / 'anna_T2.nii.gz'
  translate.translate(
    str(trained), direction='ab', source=str(head), target=str(target)
  )
  return nib.load(target)


def test_a_nibabel_image_as_the_command_line_has_it(model, head, expected):
  made = model(nib.load(head))
  assert isinstance(made, nib.Nifti1Image)
  np.testing.assert_array_equal(made.get_fdata(), expected.get_fdata())
  np.testing.assert_array_equal(made.affine, expected.affine)
  assert made.get_data_dtype() == np.float32
  assert 'not for diagnosis' in made.header['descrip'].item().decode()


def test_a_simpleitk_image_keeps_its_geometry(model, head, expected):
  source = sitk.ReadImage(str(head))
  made = model(source)
  assert made.GetOrigin() == source.GetOrigin()
  assert made.GetDirection() == source.GetDirection()
  assert made.GetSpacing() == source.GetSpacing()
  assert 'not for diagnosis' in made.GetMetaData('Comment')
  np.testing.assert_allclose(
    sitk.GetArrayFromImage(made).T, expected.get_fdata(), rtol=1e-4, atol=1e-2
  )


def test_an_array_with_its_affine(model, head, expected):
  source = nib.load(head)
  made = model(np.asanyarray(source.dataobj), affine=source.affine)
  np.testing.assert_array_equal(made, expected.get_fdata(dtype=np.float32))


def test_a_path_is_written_as_the_command_line_does(
  model, head, expected, tmp_path
):
  target = tmp_path / 'T2.nii.gz'
  assert model(head, target=target) == target
  np.testing.assert_array_equal(
    nib.load(target).get_fdata(), expected.get_fdata()
  )
  assert (tmp_path / 'T2.json').exists()
  with pytest.raises(errors.UserError, match='T2.nii.gz exists'):
    model(head, target=target)
  assert model(head, target=target, overwrite=True) == target


def test_paths_stream_and_none_is_lost(model, head, save_nifti, tmp_path):
  scan = nib.load(head)
  paths = [
    save_nifti(tmp_path / 'in' / person / 'T1.nii.gz', scan.dataobj[...])
    for person in ('anna', 'bert')
  ]
  made = model.stream(paths, tmp_path / 'out')
  first = next(made)
  assert first == tmp_path / 'out' / 'anna' / 'T1.nii.gz' and first.exists()
  second = tmp_path / 'out' / 'bert' / 'T1.nii.gz'
  assert not second.exists()
  assert list(made) == [second] and second.exists()
  time = first.stat().st_mtime_ns
  again = model.stream(str(tmp_path / 'in'), tmp_path / 'out')
  assert list(again) == [first, second] and first.stat().st_mtime_ns == time


def test_the_network_alone(model):
  images = np.random.default_rng(0).uniform(-1, 1, (3, 32, 64, 1))
  made = model.network(images)
  assert made.shape == images.shape and np.abs(made).max() <= 1
  one = model.network(images[1:2].astype(np.float32))
  np.testing.assert_allclose(one, made[1:2], atol=1e-5)


@pytest.mark.parametrize('shape', [(32, 32, 1), (1, 33, 32, 1), (1, 32, 32, 3)])
def test_the_network_refuses_other_shapes(model, shape):
  with pytest.raises(errors.UserError, match='the network takes'):
    model.network(np.zeros(shape))


def test_mistakes_are_told_in_a_line(model, trained, head, tmp_path):
  voxels = np.ones((4, 4, 4))
  for call, told in (
    (lambda: cyclegan_jax.load(trained, 'xy'), "it is 'ab' or 'ba'"),
    (lambda: cyclegan_jax.load(tmp_path), 'holds no checkpoint'),
    (lambda: cyclegan_jax.load(trained, checkpoint=3), 'checkpoint=3'),
    (lambda: model(voxels), 'affine='),
    (lambda: model(voxels, affine=np.eye(3)), r'not \(4, 4\)'),
    (lambda: model(voxels, affine=np.eye(4)), 'every voxel is 1'),
    (lambda: model(head), 'target='),
    (lambda: model([1, 2]), 'a list is no scan'),
    (lambda: model(voxels, affine=np.eye(4), planes=['sagittal']), 'trained'),
  ):
    with pytest.raises(errors.UserError, match=told) as caught:
      call()
    assert '\n' not in str(caught.value)


def test_it_is_the_command_line_to_the_bit(trained, head, tmp_path):
  """Each in a process of its own, as people start them."""
  target = tmp_path / 'T2.nii.gz'
  words = ('--mode=translate', '--direction=ab', f'--workdir={trained}')
  words = ('launch.py', *words, f'--source={head}', f'--target={target}')
  code = (
    'import cyclegan_jax, nibabel, numpy\n'
    f'model = cyclegan_jax.load({str(trained)!r})\n'
    f'made = model(nibabel.load({str(head)!r})).get_fdata()\n'
    f'told = nibabel.load({str(target)!r}).get_fdata()\n'
    'numpy.testing.assert_array_equal(made, told)\n'
  )
  # With the flags that each sets by itself, and no others.
  plain = {k: x for k, x in os.environ.items() if k != 'XLA_FLAGS'}
  root = pathlib.Path(__file__).parent.parent
  for arguments in (words, ('-c', code)):
    subprocess.run(
      [sys.executable, *arguments],
      cwd=root,
      env=plain | {'PYTHONPATH': str(root)},
      check=True,
    )


def test_what_was_cut_short_is_made_again(model, head, expected, tmp_path):
  """As the command line does: what exists stays if it is whole."""
  (target,) = model.stream([head], tmp_path)
  target.write_bytes(target.read_bytes()[:1000])
  assert list(model.stream([head], tmp_path)) == [target]
  np.testing.assert_array_equal(
    nib.load(target).get_fdata(), expected.get_fdata()
  )
