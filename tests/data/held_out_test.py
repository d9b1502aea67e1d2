"""Held-out pairs: which slices are scored."""

import numpy as np
from PIL import Image
import pytest

from cyclegan_jax.data import held_out
from cyclegan_jax.data import slices
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import scans


@pytest.fixture
def open_pairs(tmp_path_factory):
  """Opens the pairs of two sources, as runs do; `told` lists the warnings."""
  cache = tmp_path_factory.mktemp('cache')

  def open_(*sources, size=32):
    def open_source(name, found, *, centers=None):
      settings = framing.SliceSettings(size=size)
      return slices.open_slices(
        name, found, settings, cache=cache, centers=centers
      )

    found = (scans.find_scans(source) for source in sources)
    return held_out.open_pairs(*found, open_source, warn=open_.told.append)

  open_.told = []
  return open_


def names(pairs):
  first, second = ([s.name for s in pairs[d].slices] for d in 'ab')
  assert first == second
  return first


def save_pictures(root, *names, gain=1, dtype=np.uint8):
  root.mkdir()
  pixels = np.zeros((32, 32), dtype)
  pixels[8:24, 8:24] = np.arange(256).reshape(16, 16) * gain
  for name in names:
    Image.fromarray(pixels).save(root / f'{name}.png')
  return root


def test_pairs_are_the_names_both_folders_have(open_pairs, tmp_path):
  a = save_pictures(tmp_path / 'a', 'carl_1', 'carl_2', 'dora_1')
  b = save_pictures(tmp_path / 'b', 'carl_2', 'carl_3', 'dora_1')
  assert names(open_pairs(a, b)) == ['carl_2', 'dora_1']
  assert not open_pairs.told


def test_without_shared_names_there_are_no_pairs(open_pairs, tmp_path):
  a = save_pictures(tmp_path / 'a', 'carl_1')
  b = save_pictures(tmp_path / 'b', 'dora_1')
  assert open_pairs(a, b) is None
  (told,) = open_pairs.told
  assert 'share no name and no patient' in told


def test_16_bit_pairs_beside_8_bit_ones(open_pairs, tmp_path):
  """Nothing in the other folder says what is white in 16 bits."""
  a = save_pictures(tmp_path / 'a', 'carl_1', gain=16, dtype=np.uint16)
  b = save_pictures(tmp_path / 'b', 'carl_1')
  pairs = open_pairs(a, b)
  np.testing.assert_allclose(
    *(pairs[domain].load(0) for domain in 'ab'), atol=1e-6
  )


def test_pairs_on_different_grids_are_left_out_and_told(
  open_pairs, tmp_path, make_head, save_nifti
):
  for person, slices_b in (('anna', 10), ('bert', 5)):
    save_nifti(tmp_path / 'a' / f'{person}.nii', make_head((20, 24, 10)))
    save_nifti(tmp_path / 'b' / f'{person}.nii', make_head((20, 24, slices_b)))
  kept = names(open_pairs(tmp_path / 'a', tmp_path / 'b'))
  assert {name.split()[0] for name in kept} == {'anna'}
  (told,) = open_pairs.told
  assert 'scans of bert lie on different grids' in told


def test_both_scans_are_cropped_about_the_middle_of_the_first(
  open_pairs, tmp_path, make_head, save_nifti
):
  """Of a head of which the second contrast shows the left half only."""
  head = make_head((40, 48, 6))
  half = np.where(np.arange(40)[:, None, None] < 20, head, 0)
  save_nifti(tmp_path / 'a' / 'anna.nii', head)
  save_nifti(tmp_path / 'b' / 'anna.nii', half)
  pairs = open_pairs(tmp_path / 'a', tmp_path / 'b', size=48)
  a, b = (pairs[domain].load(2) for domain in 'ab')
  shown = b > -0.5
  assert shown.sum() > 300
  assert np.corrcoef(a[shown], b[shown])[0, 1] > 0.99


def save_arrays(root, blank):
  """Arrays [32, 32] of three numbers; those in `blank` show nothing."""
  root.mkdir(parents=True)
  for number in range(3):
    pixels = np.zeros((32, 32), np.float32)
    if number not in blank:
      pixels[8:24, 8:24] = np.arange(256).reshape(16, 16) + 50 * number
    np.save(root / f'carl_{number}.npy', pixels)


def test_a_blank_array_of_a_pair_is_no_trouble(open_pairs, tmp_path):
  """Whichever of the two scans is blank, the pair is not scored."""
  save_arrays(tmp_path / 'a' / 'carl', {0})
  save_arrays(tmp_path / 'b' / 'carl', {2})
  (only,) = names(open_pairs(tmp_path / 'a', tmp_path / 'b'))
  assert only.startswith('carl/carl_1 ')
