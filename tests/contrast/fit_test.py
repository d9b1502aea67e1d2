"""Contrast maps learnt without pairs: known maps are found again."""

import jax.numpy as jnp
import numpy as np
import pytest

from cyclegan_jax.contrast import fit
from cyclegan_jax.contrast import layer
from cyclegan_jax.evaluation import metrics
from cyclegan_jax.mri import head

_SIZE = 48


def image(tissues, brightness, seed):
  noise = np.random.default_rng(seed).normal(0, 0.01, tissues.shape)
  values = np.asarray((0, *brightness))[tissues]
  return np.where(tissues > 0, np.clip(values + noise, 0.03, 1), 0)


_T1 = (0.8, 0.2, 0.5, 0.7)


@pytest.fixture(params=fit.LOOKS)
def look(request):
  return request.param


# Of shells of any width depth tells little: in the second, where the source is
# near the target already, a map by depth is no better than none.
@pytest.mark.parametrize(
  'brightness, least',
  [
    ((0.5, 0.9, 0.6, 0.3), (30, 21, 21)),  # turned round but for the outermost
    ((0.9, 0.3, 0.6, 0.8), (34, 18, 18)),  # the same order
    ((0.4, 0.4, 0.9, 0.4), (28, 28, 28)),  # up and down
  ],
)
def test_a_known_contrast_is_found_in_other_people(
  brightness, least, draw_people, look
):
  source = image(draw_people(0), _T1, 1)
  target = image(draw_people(2), brightness, 3)
  found = fit.fit_map(source, target, deviation=2.25, look=look)
  assert found.explained > 0.8

  truth = image(draw_people(0), brightness, 1)
  mapped = fit.apply_map(found.values, source, deviation=2.25, look=look)
  # From means of places, by least squares, the first two have 25.8 and 23.6 by
  # surroundings.
  seen = head.find_heads(source)
  assert metrics.psnr(truth, mapped, seen) > least[fit.LOOKS.index(look)]
  assert metrics.psnr(truth, mapped) > (24 if look == 'surroundings' else 20)
  before = metrics.psnr(truth, source)
  if look == 'surroundings' or before < 20:  # not where little is to be learnt
    assert metrics.psnr(truth, mapped) > before + 3
  np.testing.assert_array_equal(mapped[source == 0], 0)


def test_fluid_as_black_as_air_becomes_bright(draw_people, look):
  def scan(people, fluid):
    return np.asarray((0, 0.8, fluid, 0.5, 0.7))[people]

  people = draw_people(0)
  source = scan(people, 0.0)
  target = scan(draw_people(2), 0.9)
  found = fit.fit_map(source, target, deviation=2.25, look=look)
  mapped = fit.apply_map(found.values, source, deviation=2.25, look=look)
  assert np.median(mapped[people == 2]) > 0.6
  np.testing.assert_array_equal(mapped[people == 0], 0)


def test_the_step_has_the_same_map(draw_people, look):
  images = image(draw_people(0, count=12), _T1, 1)
  values = np.random.default_rng(4).uniform(0, 1, fit.unchanged(look).shape)
  inputs = jnp.asarray(images[..., None], jnp.float32)
  seen = np.asarray(layer.find_heads(inputs))[..., 0]
  heads = head.find_heads(images)
  assert 2 * (seen & heads).sum() / (seen.sum() + heads.sum()) > 0.99
  mapped = np.asarray(layer.map_contrast(inputs, values, 1.5, look))[..., 0]
  np.testing.assert_array_equal(mapped[~seen], 0)
  same = (seen == heads).all(axis=(1, 2))
  assert same.sum() > 3
  np.testing.assert_allclose(
    mapped[same],
    fit.apply_map(values, images, deviation=1.5, look=look)[same],
    atol=1e-5,
  )


def test_nothing_is_explained_where_nothing_depends_on_place(draw_people, look):
  rng = np.random.default_rng(0)
  noise = rng.uniform(0.3, 1, (2, 40, _SIZE, _SIZE))
  for images, seed in zip(noise, (0, 2), strict=True):
    images[draw_people(seed) == 0] = 0
  assert fit.fit_map(*noise, deviation=2.0, look=look).explained < 0.05


def test_blank_slices_are_left_as_they_are(look):
  blank = np.zeros((3, _SIZE, _SIZE))
  found = fit.fit_map(blank, blank, deviation=2.0, look=look)
  assert found.explained == 0
  np.testing.assert_array_equal(found.values, fit.unchanged(look))


def test_one_grey_explains_nothing(draw_people, look):
  source = image(draw_people(0), _T1, 1)
  target = np.where(draw_people(2) > 0, 0.7, 0)
  found = fit.fit_map(source, target, deviation=2.25, look=look)
  assert found.explained == 0


def test_what_was_not_seen_is_as_what_is_nearest(draw_people):
  """A scan brighter than any to learn from, and a level that none shows."""
  source = 0.5 * image(draw_people(0), _T1, 1)
  target = image(draw_people(2), (0.5, 0.9, 0.6, 0.3), 3)
  levels, others = (np.linspace(0.6, 1, len(x)) for x in (source, target))
  found = fit.fit_map(
    source, target, deviation=2.25, look='place', levels=(levels, others)
  )
  np.testing.assert_array_equal(found.values[6:], found.values[[6] * 6])
  np.testing.assert_array_equal(
    found.values[1:5, :, :2], found.values[1:5, :, [2, 2]]
  )


def test_a_contrast_that_changes_along_the_head_is_found_by_place(draw_people):
  """What is bright below becomes dark above: one map for all cannot say so."""
  people, others = draw_people(0), draw_people(2)
  source = image(people, _T1, 1)
  levels, other = (np.linspace(0, 1, len(x)) for x in (people, others))

  def turn(images, levels):
    mixed = levels[:, None, None] * images + (1 - levels)[:, None, None] * (
      1 - images
    )
    return np.where(images > 0, mixed, 0)

  target = turn(image(others, _T1, 3), other)
  truth = turn(source, levels)
  scores = {}
  for look in ('depth', 'place'):
    found = fit.fit_map(
      source, target, deviation=2.25, look=look, levels=(levels, other)
    )
    mapped = fit.apply_map(
      found.values, source, deviation=2.25, look=look, levels=levels
    )
    scores[look] = metrics.psnr(truth, mapped)
  assert scores['place'] > scores['depth'] + 3 and scores['place'] > 20
