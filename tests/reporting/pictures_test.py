import numpy as np

from cyclegan_jax.reporting import pictures

_STAGES = ('a', 'fake_b', 'cycled_a', 'b', 'fake_a', 'cycled_b')


def draw(size, count=3):
  images = {
    stage: np.full((count, size, size, 1), value, np.float32)
    for stage, value in zip(_STAGES, np.linspace(-0.5, 1, 6), strict=True)
  }
  return np.asarray(pictures.draw_samples(images, ('T1w', 'T2w'), step=7))


def test_rows_are_the_stages_in_order():
  grid = draw(128)
  middle = grid[28 + 64 :: 130, -64]
  np.testing.assert_allclose(
    middle, (np.linspace(-0.5, 1, 6) + 1) * 127.5, atol=1
  )


def test_every_row_and_the_caption_is_labelled():
  grid = draw(128)
  assert grid[:28].max() == 255  # the caption
  for row in range(6):
    top = 28 + row * 130
    assert grid[top : top + 128, :60].max() == 255


def test_small_images_are_enlarged():
  assert draw(32).shape == draw(128).shape
  assert draw(256).shape[0] > draw(128).shape[0]


def compare(**changes):
  truth = np.linspace(0, 1, 64 * 48).reshape(64, 48)
  rows = [
    ('anna\n20.1 dB', truth, truth, truth),
    ('bert', truth, np.zeros_like(truth), truth),
  ]
  return pictures.draw_comparison(rows, caption='T1w to T2w', **changes)


def test_differences_are_coloured_beside_a_bar():
  picture = compare()
  assert picture.mode == 'RGB'
  pixels = np.asarray(picture).astype(int)
  coloured = np.ptp(pixels, axis=2) > 60
  columns = np.flatnonzero(coloured.any(axis=0))
  assert columns[0] > picture.width / 2  # nothing else is in colour
  half = picture.height // 2
  assert not coloured[:half, : columns[0] + 48].any()  # no difference above
  assert coloured[half:].any()


def test_the_colour_is_the_absolute_difference():
  """By matplotlib's magma at eighths; more than the top has its colour."""
  truth = np.full((192, 9), 0.45)
  steps = np.linspace(-0.4, 0.4, 9)  # of which the ends are beyond the top
  rows = [('anna', np.ones_like(truth), truth + steps, truth)]
  pixels = np.asarray(pictures.draw_comparison(rows, caption='', top=0.2))
  coloured = np.ptp(pixels.astype(int), axis=2) > 0
  tile = pixels[:, np.flatnonzero(coloured.any(axis=0))[:9]][100]
  brightest, middle = (252, 253, 191), (181, 54, 122)
  expected = [brightest, brightest, brightest, middle, (0, 0, 4)]
  np.testing.assert_allclose(tile, expected + expected[-2::-1], atol=2)


def test_planes_of_thick_slices_are_not_squashed():
  """16 slices of 4 mm are as tall as 64 rows of 1 mm."""
  planes = [np.ones((64, 48)), np.ones((16, 48)), np.ones((16, 64))]
  sizes = [(1.0, 1.0), (4.0, 1.0), (4.0, 1.0)]
  picture = pictures.draw_planes(
    [('T1w\nsource', planes), ('T2w\nsynthetic', planes)],
    caption='T1w to T2w',
    pixel_sizes=sizes,
  )
  pixels = np.asarray(picture)
  lit = pixels[90:] == 255
  white = np.flatnonzero(lit.mean(axis=0) > 0.8)
  runs = np.split(white, np.flatnonzero(np.diff(white) > 1) + 1)
  assert [len(run) for run in runs] == [144, 144, 192]
  row = lit[:, runs[1][5]]
  assert row.sum() >= 2 * 192 - 90 + 56


def test_the_sides_of_planes_are_marked():
  """On white tiles, dark letters' outlines at the left and right edge."""
  planes = [np.ones((64, 64))] * 3
  drawn = [
    np.asarray(
      pictures.draw_planes(
        [('T1w', planes)],
        caption='',
        pixel_sizes=((1.0, 1.0),) * 3,
        sides=sides,
      )
    ).astype(int)
    for sides in (None, ('RL', 'RL', 'AP'), ('RR', 'RL', 'AP'))
  ]
  changed = np.flatnonzero((drawn[0] != drawn[1]).any(axis=0))
  runs = np.split(changed, np.flatnonzero(np.diff(changed) > 8) + 1)
  # A right edge and the left one beside it are one run.
  assert len(runs) == 4 and all(5 < len(run) < 50 for run in runs)
  # The right edge of the first plane alone says something else.
  other = np.flatnonzero((drawn[1] != drawn[2]).any(axis=0))
  assert set(other) <= {*range(runs[1][0] - 4, runs[1][-1] + 5)}


def test_every_patient_is_drawn_with_pixels_of_their_own_size():
  """Of two scanners: one head, sampled by 1 x 1 mm and by 2 x 0.5 mm."""
  square, wide = np.ones((64, 48)), np.ones((32, 96))
  picture = pictures.draw_comparison(
    [(name, x, x, x) for name, x in (('anna', square), ('bert', wide))],
    caption='',
    pixel_sizes=[(1.0, 1.0), (2.0, 0.5)],
  )
  lit = (np.asarray(picture) == 255).all(axis=2)[56:]
  # 64 x 48 mm at two screen pixels for the finest, 0.5 mm.
  for tile in (lit[:256], lit[258:514]):
    assert tile.all(axis=0).sum() == 3 * 48 * 4


def test_a_slab_of_few_slices_does_not_enlarge_the_other_planes():
  planes = [np.ones((192, 100)), np.ones((3, 100)), np.ones((3, 192))]
  picture = pictures.draw_planes(
    [('T1w', planes)],
    caption='',
    pixel_sizes=[(1.0, 1.0), (4.0, 1.0), (4.0, 1.0)],
  )
  assert picture.height == 28 + 28 + 192 + 2


def test_every_text_fits():
  """A long caption and headings wider than their columns widen the page."""
  caption = 'a caption much longer than the table is wide ' * 3
  headings = ('T1w input of the scan', 'x', 'y', '|difference|')
  truth = np.zeros((192, 20))
  picture = pictures.draw_comparison(
    [('anna', truth, truth, truth)], caption=caption, headings=headings
  )
  pixels = np.asarray(picture).max(axis=2)
  assert (pixels[:, -8:] == 0).all() and pixels[:28, :-8].max() == 255
  short = pictures.draw_comparison(
    [('anna', truth, truth, truth)], caption='', headings=headings
  )
  gaps = np.asarray(short).max(axis=2)[28:56].max(axis=0) == 0
  lit = np.flatnonzero(~gaps)
  # four headings: three spaces between them wider than one between words
  assert (np.diff(lit) > 8).sum() == 3
