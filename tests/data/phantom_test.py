"""Tests of the simulated data set."""

import hashlib

import numpy as np
from PIL import Image
import pytest

from cyclegan_jax.data import phantom
from cyclegan_jax.data import sequences

FOLDERS = ('train_a', 'train_b', 'test_a', 'test_b')


def make(directory, **changes):
  settings = dict(image_size=64, people=2, test_people=1, slices=2)
  phantom.make_dataset(directory, **(settings | changes))
  return directory


def digests(directory):
  return {
    str(path.relative_to(directory)): hashlib.sha256(
      path.read_bytes()
    ).hexdigest()
    for path in directory.rglob('*')
    if path.is_file()
  }


def people(directory, folder):
  return {path.name.split('_')[0] for path in (directory / folder).iterdir()}


def stack(directory, folder):
  paths = sorted((directory / folder).iterdir())
  return np.stack([np.asarray(Image.open(path)) for path in paths])


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
  return make(tmp_path_factory.mktemp('phantom') / 'data')


@pytest.mark.parametrize(
  'sequence, expected',
  [(sequences.T1W, 0.284609), (sequences.T2W, 0.289937)],
)
def test_spin_echo_signal_of_grey_matter(sequence, expected):
  tr, te = sequence
  signal = sequences.spin_echo_signal(0.8, 950.0, 100.0, tr=tr, te=te)
  assert signal == pytest.approx(expected, abs=1e-5)


def test_an_inversion_nulls_what_recovers_to_nothing_then():
  """TI = T1 ln 2 if nothing is left of TR; longer and shorter are positive."""
  t1 = 4500.0
  null = t1 * np.log(2)
  signals = [
    sequences.spin_echo_signal(1.0, t1, 2000.0, tr=1e6, te=0.0, ti=ti)
    for ti in (null, 1e-9, 1e6)
  ]
  np.testing.assert_allclose(signals, [0, 1, 1], atol=1e-6)


def test_flair_has_dark_fluid_and_brighter_grey_matter(tmp_path):
  flair = (9000.0, 100.0, 2550.0)
  tissues = np.transpose(phantom.TISSUES)
  signals = sequences.spin_echo_signal(
    *tissues, **dict(zip(('tr', 'te', 'ti'), flair, strict=True))
  )
  grey, white, fluid, lesion = signals[:4]
  assert fluid < 0.1 * white and white < grey < lesion


def test_values_come_out_in_their_unit(tmp_path):
  """Half-filled pixels lie between tissue and air; noise is of 10 units."""
  values = (-1000, 40, 30, 10, 30, 1200, 300, 50, -90)
  fractions = np.zeros((1, 200, 200, 8))
  fractions[:, :100, :, 4] = 1.02  # as fractions vary by about a fiftieth
  fractions[:, 100:150, :, 0] = 0.45
  image = sequences.scan_values(fractions, values, np.random.default_rng(0))
  assert image.dtype == np.float32
  bone, half, air = image[0, :100], image[0, 100:150], image[0, 150:]
  assert bone.mean() == pytest.approx(1200, rel=0.1)
  assert half.mean() == pytest.approx((40 - 1000) / 2, abs=5)
  assert air.mean() == pytest.approx(-1000, abs=1)
  assert air.std() == pytest.approx(10, rel=0.05)
  mixed = phantom.DEFAULTS | {'b': values}
  made = make(tmp_path / 'ct', people=1, slices=1, scanned=mixed)
  (path,) = (made / 'train_b').iterdir()
  scanned = np.asarray(Image.open(path))
  assert path.suffix == '.tif' and scanned.dtype == np.float32
  assert scanned[0, 0] == pytest.approx(-1000, abs=60) and scanned.max() > 500


def test_spin_echo_signal_limits():
  tissues = np.array([0.5, 1.0])
  no_decay = sequences.spin_echo_signal(tissues, 1.0, 80.0, tr=1e4, te=0.0)
  np.testing.assert_allclose(no_decay, tissues)
  halved = sequences.spin_echo_signal(
    1.0, 100.0, 80.0, tr=100 * np.log(2), te=80 * np.log(2)
  )
  assert halved == pytest.approx(0.25)


def test_layout(dataset):
  assert sorted(path.name for path in dataset.iterdir()) == sorted(FOLDERS)
  for folder, count in zip(FOLDERS, (4, 4, 2, 2), strict=True):
    images = stack(dataset, folder)
    assert images.shape == (count, 64, 64)
    assert images.dtype == np.uint8


def test_people_are_disjoint(dataset):
  groups = [people(dataset, folder) for folder in FOLDERS[:3]]
  assert [len(group) for group in groups] == [2, 2, 1]
  assert len(set().union(*groups)) == 5


def test_same_arguments_give_same_bytes(dataset, tmp_path):
  assert digests(make(tmp_path / 'again')) == digests(dataset)


def test_other_seed_gives_other_people(dataset, tmp_path):
  other = make(tmp_path / 'other', seed=1, people=1)
  assert not set(digests(other).values()) & set(digests(dataset).values())


def test_person_does_not_depend_on_number_of_people(dataset, tmp_path):
  fewer = digests(make(tmp_path / 'fewer', people=1))
  assert len(fewer) == 8
  assert fewer.items() <= digests(dataset).items()


def test_no_two_people_alike(dataset):
  images = stack(dataset, 'train_a').astype(float)
  assert abs(images[0] - images[2]).mean() > 5


def test_pairs_are_aligned_and_contrast_is_reversed(dataset):
  names = [sorted(p.name for p in (dataset / f).iterdir()) for f in FOLDERS]
  assert names[2] == names[3]
  t1w, t2w = stack(dataset, 'test_a'), stack(dataset, 'test_b')
  # the scalp's outer rim: the two heads cover the same pixels
  heads = t1w > 20, t2w > 20
  filled = [np.maximum.accumulate(head, axis=2) for head in heads]
  filled = [
    fill & np.maximum.accumulate(head[..., ::-1], axis=2)[..., ::-1]
    for fill, head in zip(filled, heads, strict=True)
  ]
  assert (filled[0] & filled[1]).sum() > 0.93 * (filled[0] | filled[1]).sum()
  middle = np.zeros(t1w.shape, bool)
  middle[:, 16:48, 20:44] = True  # brain only
  fluid = middle & (t2w > 180)
  white = middle & (t2w > 60) & (t2w < 100)
  assert fluid.sum() > 10 and white.sum() > 100
  assert np.median(t1w[fluid]) < 0.7 * np.median(t1w[white])
  grey = middle & (t2w > 110) & (t2w < 140)
  assert np.median(t1w[grey]) < np.median(t1w[white])


def test_shifted_pairs_agree_less(dataset):
  t1w, t2w = stack(dataset, 'test_a'), stack(dataset, 'test_b')

  def agreement(shift):  # mutual information
    joint, _, _ = np.histogram2d(
      np.roll(t1w, shift, axis=2).ravel(), t2w.ravel(), bins=24
    )
    joint = joint / joint.sum()
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    return np.sum(joint * np.log((joint + 1e-12) / (independent + 1e-12)))

  assert max(range(-3, 4), key=agreement) == 0


def test_interrupted_run_leaves_nothing(tmp_path):
  def interrupt(done, total):
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    make(tmp_path / 'data', report=interrupt)
  assert not list(tmp_path.iterdir())


def test_existing_directory_is_left_alone(tmp_path):
  (tmp_path / 'mine.txt').write_text('mine')
  make(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']


def test_report_counts_people(tmp_path):
  calls = []
  make(
    tmp_path / 'data',
    people=1,
    slices=1,
    report=lambda done, total: calls.append((done, total)),
  )
  assert calls == [(1, 3), (2, 3), (3, 3)]


def test_too_many_slices_are_refused(tmp_path):
  with pytest.raises(ValueError, match='slices'):
    make(tmp_path / 'data', slices=51)
  assert not list(tmp_path.iterdir())
