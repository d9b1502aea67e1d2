"""The slices of a domain: decoded once, chosen, told apart."""

import io
import os

import numpy as np
from PIL import Image
import pytest

from cyclegan_jax import errors
from cyclegan_jax.data import slices
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import scans
from cyclegan_jax.mri.formats import dispatch

_SETTINGS = framing.SliceSettings(size=32)


def gradient(dtype, top, shape=(40, 40)):
  ramp = np.linspace(0, top, shape[0] * shape[1])
  return ramp.reshape(shape).round().astype(dtype)


def save(path, pixels):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels).save(path)
  return path


@pytest.fixture
def open_folder(tmp_path_factory):
  cache = tmp_path_factory.mktemp('cache')

  def open_(root, settings=_SETTINGS, **kwargs):
    found = scans.find_scans(root)
    return slices.open_slices(str(root), found, settings, cache=cache, **kwargs)

  return open_


def images(opened):
  return np.stack([opened.load(row) for row in range(len(opened))])


def test_blank_slices_are_left_out_and_counted(tmp_path, open_folder):
  rng = np.random.default_rng(0)
  save(tmp_path / 'blank.png', rng.integers(0, 20, (32, 32), np.uint8))
  dot = np.zeros((32, 32), np.uint8)
  dot[:8, :8] = 200  # 6.25 %
  save(tmp_path / 'dot.png', dot)
  opened = open_folder(tmp_path)
  kept = slices.select(opened, min_foreground=0.05)
  assert [each.name for each in kept.slices] == ['dot'] and kept.blank == 1
  with pytest.raises(errors.UserError, match='none of its 2 slices.*7%'):
    slices.select(opened, min_foreground=0.07)


def test_noise_of_16_bits_is_judged_by_the_folders_white(tmp_path, open_folder):
  noise = np.random.default_rng(0).integers(0, 50, (32, 32), np.uint16)
  save(tmp_path / 'air.png', noise)
  save(tmp_path / 'head.png', gradient(np.uint16, 4000))
  kept = slices.select(open_folder(tmp_path), min_foreground=0.02)
  assert [each.name for each in kept.slices] == ['head'] and kept.blank == 1


def test_a_blank_array_is_left_out_like_a_blank_picture(tmp_path, open_folder):
  np.save(tmp_path / 'a.npy', gradient(np.int16, 900))
  np.save(tmp_path / 'b.npy', np.zeros((40, 40), np.int16))
  kept = slices.select(open_folder(tmp_path), min_foreground=0.02)
  assert len(kept) == 1 and kept.blank == 1


def test_a_part_of_every_volume_is_taken(
  tmp_path, open_folder, make_head, save_nifti
):
  save_nifti(tmp_path / 'x.nii', make_head((20, 24, 16)))
  settings = _SETTINGS._replace(planes=('axial', 'coronal'))
  opened = open_folder(tmp_path, settings)
  kept = slices.select(opened, min_foreground=0.0, slice_range=(0.5, 1.0))
  assert len(opened) == 16 + 24 and len(kept) == 8 + 12
  assert min(each.position for each in kept.slices) >= 0.5


def test_what_a_person_should_know_is_told(
  tmp_path, open_folder, make_head, save_nifti
):
  save_nifti(tmp_path / 'x.nii', make_head((20, 80, 8)))
  for _ in range(2):  # out of the cache too
    notes = []
    open_folder(tmp_path, warn=notes.append)
    assert len(notes) == 1 and 'x.nii: the head is ' in notes[0]


def test_a_file_that_cannot_be_read_is_named(tmp_path, open_folder):
  (tmp_path / 'x.nii').symlink_to(tmp_path / 'nowhere')
  with pytest.raises(errors.UserError, match=r'x\.nii'):
    open_folder(tmp_path)


def test_text_that_calls_itself_an_image_is_refused(tmp_path, open_folder):
  save(tmp_path / 'a.png', gradient(np.uint8, 255))
  (tmp_path / 'b.png').write_text('no image')
  with pytest.raises(errors.UserError, match=r'b\.png is not a PNG'):
    open_folder(tmp_path)


@pytest.mark.parametrize('count,accepted', [(101, True), (99, False)])
def test_one_percent_of_corrupt_pictures_is_skipped(
  tmp_path, open_folder, count, accepted
):
  content = io.BytesIO()
  Image.fromarray(gradient(np.uint8, 255)).save(content, format='PNG')
  for i in range(count):
    (tmp_path / f'{i:03d}.png').write_bytes(content.getvalue())
  (tmp_path / '007.png').write_bytes(content.getvalue()[:-90])
  warnings = []
  if accepted:
    opened = open_folder(tmp_path, warn=warnings.append)
    assert opened.corrupt == 1 and len(opened) == count - 1
    assert '007.png' in warnings[0] and len(warnings) == 1
  else:
    with pytest.raises(errors.UserError, match='1 of 99 .*007.png'):
      open_folder(tmp_path)


@pytest.fixture
def decoded(monkeypatch):
  """Names of the scans that are read from now on."""
  names = []
  read = dispatch.read_scan

  def note(scan, **kwargs):
    names.append(scan.name)
    return read(scan, **kwargs)

  monkeypatch.setattr(dispatch, 'read_scan', note)
  return names


def test_scans_are_decoded_once_and_again_when_they_change(
  tmp_path, open_folder, make_head, save_nifti, decoded
):
  for name in ('a', 'b'):
    save_nifti(tmp_path / f'{name}.nii', make_head(seed=ord(name)))
  first = open_folder(tmp_path)
  assert decoded == ['a', 'b']
  again = open_folder(tmp_path)
  assert decoded == ['a', 'b'] and again == first
  os.utime(tmp_path / 'a.nii')  # touched, not changed
  old = (tmp_path / 'b.nii').stat()
  open_folder(tmp_path)
  assert decoded == ['a', 'b']
  save_nifti(tmp_path / 'a.nii', make_head(seed=5))
  changed = open_folder(tmp_path)
  assert decoded == ['a', 'b', 'a']
  assert changed.fingerprint() != first.fingerprint()
  assert not np.array_equal(changed.load(8), first.load(8))
  open_folder(tmp_path, _SETTINGS._replace(spacing=2.0))
  assert decoded == ['a', 'b', 'a', 'a', 'b']
  save_nifti(tmp_path / 'b.nii', make_head(seed=6))
  os.utime(tmp_path / 'b.nii', ns=(old.st_atime_ns, old.st_mtime_ns))
  open_folder(tmp_path)
  assert decoded == ['a', 'b', 'a', 'a', 'b', 'b']


def test_the_fingerprint_follows_the_slices_not_the_folder(
  tmp_path, open_folder
):
  for place in ('here', 'there'):
    save(tmp_path / place / 'a.png', gradient(np.uint8, 255))
  here, there = (
    open_folder(tmp_path / place).fingerprint() for place in ('here', 'there')
  )
  assert here == there
  save(tmp_path / 'there' / 'b.png', gradient(np.uint8, 255))
  assert open_folder(tmp_path / 'there').fingerprint() != here


def test_a_domain_knows_what_is_typical_of_it(
  tmp_path, open_folder, make_head, save_nifti
):
  for gain in (1, 2, 5):
    save_nifti(tmp_path / f'p{gain}.nii', gain * make_head())
  opened = open_folder(tmp_path)
  (middle,) = (
    known.intensities.scaling
    for name, known in opened.scans.items()
    if name == 'p2'
  )
  typical = opened.intensities()
  assert typical.scaling.intensities == pytest.approx(middle.intensities)
  quantiles = list(typical.quantiles)
  assert len(quantiles) == 101 and quantiles == sorted(quantiles)
  assert -1 < quantiles[0] < quantiles[-1] <= 1
