import numpy as np
import pytest
from scipy import ndimage

from cyclegan_jax.evaluation import baselines


@pytest.fixture(scope='module')
def head():
  rng = np.random.default_rng(0)
  source = ndimage.gaussian_filter(rng.random((6, 40, 30)), (0, 2, 2))
  source = (source - source.min()) / np.ptp(source)
  mask = np.zeros(source.shape, bool)
  mask[:, 5:35, 5:25] = True
  return source, mask


def inner(values):
  """Without the tails, where 101 quantiles say little."""
  low, high = np.percentile(values, (2, 98))
  return (values > low) & (values < high)


def quantiles_of(values):
  return np.quantile(values, np.linspace(0, 1, 101))


def test_a_distribution_matched_to_itself_is_unchanged(head):
  source, mask = head
  matched = baselines.match_histogram(source, mask, quantiles_of(source[mask]))
  chosen = inner(source[mask])
  np.testing.assert_allclose(
    matched[mask][chosen], source[mask][chosen], atol=1e-2
  )
  assert (matched[~mask] == 0).all()


def test_matching_gives_the_targets_distribution_in_the_sources_order(head):
  source, mask = head
  target = quantiles_of(np.random.default_rng(1).beta(2, 5, 50_000))
  matched = baselines.match_histogram(source, mask, target)
  np.testing.assert_allclose(quantiles_of(matched[mask]), target, atol=5e-3)
  order = np.argsort(source[mask])
  assert (np.diff(matched[mask][order]) >= 0).all()


def test_inverting_reverses_the_order_and_twice_restores_it(head):
  source, mask = head
  target = quantiles_of(source[mask])
  once = baselines.invert_and_match(source, mask, target)
  order = np.argsort(source[mask])
  assert (np.diff(once[mask][order]) <= 0).all()
  twice = baselines.invert_and_match(once, mask, target)
  chosen = inner(source[mask])
  np.testing.assert_allclose(
    twice[mask][chosen], source[mask][chosen], atol=1e-2
  )


def test_the_oracle_finds_a_pointwise_map(head):
  source, mask = head
  truth = 0.8 - 0.6 * source**2
  table = baselines.fit_pointwise(source, truth, mask)
  found = baselines.apply_pointwise(table, source)
  np.testing.assert_allclose(found[mask], truth[mask], atol=1.2 / 255)


def test_no_pointwise_map_beats_the_oracle(head):
  source, mask = head
  rng = np.random.default_rng(2)
  truth = np.clip(1 - source + rng.normal(0, 0.2, source.shape), 0, 1)
  table = baselines.fit_pointwise(source, truth, mask)
  target = quantiles_of(truth[mask])

  def error(image):
    return np.mean((image[mask] - truth[mask]) ** 2)

  oracle = error(baselines.apply_pointwise(table, source))
  for other in (
    source,
    1 - source,
    baselines.match_histogram(source, mask, target),
    baselines.invert_and_match(source, mask, target),
  ):
    assert oracle < error(other)
  with pytest.raises(ValueError, match='mask is empty'):
    baselines.fit_pointwise(source, truth, np.zeros_like(mask))
