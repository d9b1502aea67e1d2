"""The contrast map as a layer: what SciPy makes of it, how it is compiled."""

import jax
import jax.numpy as jnp
from jax.scipy import ndimage as jax_ndimage
import numpy as np
import pytest
from scipy import ndimage

from cyclegan_jax.contrast import fit
from cyclegan_jax.contrast import layer
from cyclegan_jax.mri import channels

_DEVIATION = 1.5


@pytest.fixture(scope='module')
def images():
  """Two noisy heads, [2, 40, 48, 1] in [0, 1]."""
  rng = np.random.default_rng(0)
  rows, columns = np.meshgrid(
    *(np.linspace(-1.3, 1.3, side) for side in (40, 48)), indexing='ij'
  )
  waves = 0.5 + 0.45 * np.sin(7 * rows + 5 * columns)
  heads = np.where(rows**2 + columns**2 < 1, waves, 0.01)
  noisy = heads + rng.normal(0, 0.01, (2, 40, 48))
  return jnp.asarray(noisy.clip(0, 1), jnp.float32)[..., None]


@pytest.fixture(params=fit.LOOKS)
def look(request):
  return request.param


@pytest.fixture
def values(look):
  rng = np.random.default_rng(1)
  fresh = fit.unchanged(look)
  return jnp.asarray(fresh + rng.normal(0, 0.1, fresh.shape), jnp.float32)


@pytest.fixture
def places(look):
  """The levels of both slices, for a map that goes by them."""
  if look != 'place':
    return None
  levels = jnp.asarray([0.3, 0.86], jnp.float32)[:, None, None, None]
  return layer.Places(None, None, jnp.broadcast_to(levels, (2, 40, 48, 1)))


def position_of(images, around, look, shape):
  """Where in the table pixels are, for each of its axes."""
  found = [images, rescale(around, look)]
  if look == 'place':
    found.append(np.asarray([0.3, 0.86])[:, None, None, None] + 0 * images)
  return [each * (knots - 1) for each, knots in zip(found, shape, strict=True)]


def rescale(around, look):
  """What a blur says of pixels, from 0 to 1."""
  return around if look == 'surroundings' else (around - 0.3) / 0.7


def test_it_looks_up_what_scipy_does(images, values, places, look):
  made = layer.map_contrast(images, values, _DEVIATION, look, places)
  made = np.asarray(made)
  own = np.asarray(images, np.float64)
  heads = np.asarray(layer.find_heads(images))
  around = own if look == 'surroundings' else heads.astype(np.float64)
  for axis in (1, 2):
    around = ndimage.gaussian_filter1d(
      around, _DEVIATION, axis, mode='constant', truncate=3.0
    )
  position = position_of(own, around, look, values.shape)
  mapped = ndimage.map_coordinates(values, position, order=1, mode='nearest')
  assert 0.3 < heads.mean() < 0.7
  np.testing.assert_allclose(
    made, np.where(heads, mapped, images), atol=1e-6, rtol=0
  )


def test_its_gradient_is_that_of_a_lookup(images, values, places, look):
  """Of the table: every pixel's shares, added up."""

  def look_up(values):
    window = jnp.asarray(layer.make_window(_DEVIATION), jnp.float32)
    around = images
    if look != 'surroundings':
      around = layer.find_heads(images).astype(images.dtype)
    for axis in (1, 2):
      around = jnp.apply_along_axis(
        lambda line: jnp.convolve(line, window, mode='same'), axis, around
      )
    position = position_of(images, around, look, values.shape)
    mapped = jax_ndimage.map_coordinates(
      values, position, order=1, mode='nearest'
    )
    return jnp.where(layer.find_heads(images), mapped, images)

  def measure(make):
    return lambda values: jnp.square(make(values)).sum()

  expected = jax.grad(measure(look_up))(values)
  found = jax.grad(
    measure(
      lambda values: layer.map_contrast(
        images, values, _DEVIATION, look, places
      )
    )
  )(values)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
  assert np.abs(expected).max() > 10


def test_it_is_compiled_without_lookups(images, values, places, look):
  """Accelerators are slow at them, and add in no certain order."""

  def measure(images, values):
    made = layer.map_contrast(images, values, _DEVIATION, look, places)
    return made.sum()

  lowered = jax.jit(jax.grad(measure, (0, 1))).lower(images, values).as_text()
  assert 'dot_general' in lowered
  assert 'gather' not in lowered and 'scatter' not in lowered


def put_beside(images, levels):
  return jnp.asarray(
    channels.spread(np.asarray(images), channels.LEVELLED, levels)
  )


def test_the_level_may_come_as_a_channel(images):
  """In use, where it does not travel apart from the slice."""
  start = layer.ContrastLayer(_DEVIATION, look='place')
  rng = np.random.default_rng(2)
  values = rng.uniform(0, 1, fit.unchanged('place').shape).astype(np.float32)
  params = {'params': {'values': jnp.asarray(values)}}
  shown = 2 * images - 1
  levels = np.array([0.3, 0.86])
  made = start.apply(params, put_beside(shown, levels))
  own = jnp.asarray(levels, jnp.float32)[:, None, None, None]
  places = layer.Places(None, None, jnp.broadcast_to(own, images.shape))
  np.testing.assert_allclose(
    made, start.apply(params, shown, places), atol=1e-5
  )
  unknown = start.apply(params, shown)  # the middle
  middle = put_beside(shown, np.array([0.5, 0.5]))
  np.testing.assert_allclose(unknown, start.apply(params, middle), atol=1e-5)
  assert np.abs(unknown - made).max() > 0.1


@pytest.mark.parametrize('learns', [False, True])
def test_a_map_learns_only_if_it_is_told_to(learns, images):
  """What goes in gets a gradient anyhow: of a cycle it comes from networks."""
  module = layer.ContrastLayer(_DEVIATION, learns=learns)
  params = module.init(jax.random.key(0), images)

  @jax.jit
  def differentiate(params, images):
    return jax.grad(lambda *given: module.apply(*given).sum(), argnums=(0, 1))(
      params, images
    )

  table, inputs = differentiate(params, 2 * images - 1)
  assert bool(jnp.any(table['params']['values'])) == learns
  assert jnp.any(inputs)
