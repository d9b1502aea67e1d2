"""Volumes for a page: small, in the right place, and of the extremes."""

import json

import nibabel as nib
import numpy as np
import pytest

from cyclegan_jax.evaluation import cases
from cyclegan_jax.evaluation import views


def make_case(shape=(40, 300, 60), spacing=(3.0, 0.5, 2.0), name='anna'):
  rng = np.random.default_rng(0)
  head = np.zeros(shape, bool)
  head[5:35, 40:280, 10:50] = True
  ramp = np.linspace(0, 1, shape[1])[None, :, None] * head
  return cases.Case(
    name=name,
    patient=name,
    images={'a': ramp, 'fake_b': head - ramp, 'cycled_a': rng.random(shape)},
    masks={'both': head},
    spacing=spacing,
  )


def test_a_view_is_cropped_and_shrunk_and_keeps_its_millimetres():
  view = views.make(make_case())
  assert set(view.images) == {'a', 'fake_b'}  # no round trips
  # 36 x 246 x 46 voxels with their margins, every other one along rows.
  assert view.images['a'].shape == (36, 123, 46)
  assert nib.affines.voxel_sizes(view.affine).tolist() == [3.0, 1.0, 2.0]
  assert ''.join(nib.aff2axcodes(view.affine)) == 'SPL'
  # Grey levels of the scores, 0 to 255: means of two neighbours.
  case = make_case()
  means = case.images['a'][20, 37:283, 30].reshape(-1, 2).mean(axis=1) * 255
  np.testing.assert_allclose(view.images['a'][18, :, 23], means, atol=0.51)


def test_pictures_are_no_neighbours_and_all_are_kept():
  view = views.make(make_case(shape=(36, 300, 60), spacing=None))
  assert not view.neighbours and len(view.images['a']) == 36


@pytest.mark.parametrize(
  'plane,sides', [('coronal', 'AIL'), ('sagittal', 'RIP')]
)
def test_slices_of_another_plane_lie_there(plane, sides):
  view = views.make(make_case(), plane)
  assert ''.join(nib.aff2axcodes(view.affine)) == sides


def test_the_best_and_the_worst_are_kept():
  extremes = views.Extremes()
  for name, score in (('b', 2.0), ('d', 4.0), ('a', 1.0), ('c', 3.0)):
    extremes.add(score, views.make(make_case(name=name)))
  found = [(view.name, view.rank) for view in extremes.views()]
  assert found == [('d', 'best'), ('a', 'worst')]


def test_of_two_nobody_is_called_best():
  extremes = views.Extremes()
  for name, score in (('a', 1.0), ('b', 2.0)):
    extremes.add(score, views.make(make_case(name=name)))
  assert [(v.name, v.rank) for v in extremes.views()] == [('b', ''), ('a', '')]


def test_files_say_what_is_synthetic_and_replace_older_ones(tmp_path):
  view = views.make(make_case())
  (tmp_path / 'views').mkdir()
  (tmp_path / 'views' / 'old.nii.gz').write_text('')
  views.write(tmp_path, [view], domains=('T1w', 'T2w'), step=7)
  index = json.loads((tmp_path / 'views' / 'index.json').read_text())
  assert index['checkpoint'] == 7 and index['domains'] == ['T1w', 'T2w']
  (told,) = index['views']
  names = {path.name for path in (tmp_path / 'views').iterdir()}
  assert names == {'index.json', *told['files'].values()}
  for stage, name in told['files'].items():
    image = nib.load(tmp_path / 'views' / name)
    np.testing.assert_array_equal(image.get_fdata(), view.images[stage])
    synthetic = b'SYNTHETIC T2w from T1w' in image.header['descrip'].item()
    assert synthetic is (stage == 'fake_b')
  views.write(tmp_path, [], domains=('T1w', 'T2w'), step=8)
  assert not (tmp_path / 'views').exists()


@pytest.mark.parametrize('plane', ['axial', 'coronal', 'sagittal'])
def test_places_are_told_from_the_middle(plane):
  """Half of a head lies to the right of it, whatever the slices."""
  view = views.make(make_case(), plane)
  ends = np.array(view.images['a'].shape) - 1
  corners = nib.affines.apply_affine(view.affine, [np.zeros(3), ends])
  np.testing.assert_allclose(corners.sum(axis=0), 0, atol=1e-9)
  assert (np.abs(corners) > 1).all()


def test_a_stack_of_pictures_is_shown_as_axial_ones():
  view = views.make(make_case(spacing=None), 'sagittal')
  assert ''.join(nib.aff2axcodes(view.affine)) == 'SPL'


def test_without_scores_nobody_is_called_best():
  extremes = views.Extremes()
  for name in 'abc':
    extremes.add(0.0, views.make(make_case(name=name)))
  assert [(v.name, v.rank) for v in extremes.views()] == [('a', ''), ('c', '')]
