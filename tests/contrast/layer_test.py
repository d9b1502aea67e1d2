"""The contrast map as a layer: what SciPy makes of it, how it is compiled."""

import jax
import jax.numpy as jnp
from jax.scipy import ndimage as jax_ndimage
import numpy as np
import pytest
from scipy import ndimage

from cyclegan_jax.contrast import fit
from cyclegan_jax.contrast import layer

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


@pytest.fixture(scope='module')
def values():
  rng = np.random.default_rng(1)
  fresh = fit.unchanged()
  return jnp.asarray(fresh + rng.normal(0, 0.1, fresh.shape), jnp.float32)


@pytest.fixture(params=fit.LOOKS)
def look(request):
  return request.param


def rescale(around, look):
  """What a blur says of pixels, from 0 to 1."""
  return around if look == 'surroundings' else (around - 0.3) / 0.7


def test_it_looks_up_what_scipy_does(images, values, look):
  made = np.asarray(layer.map_contrast(images, values, _DEVIATION, look))
  own = np.asarray(images, np.float64)
  heads = np.asarray(layer.find_heads(images))
  around = own if look == 'surroundings' else heads.astype(np.float64)
  for axis in (1, 2):
    around = ndimage.gaussian_filter1d(
      around, _DEVIATION, axis, mode='constant', truncate=3.0
    )
  position = [
    each * (knots - 1)
    for each, knots in zip(
      (own, rescale(around, look)), values.shape, strict=True
    )
  ]
  mapped = ndimage.map_coordinates(values, position, order=1, mode='nearest')
  assert 0.3 < heads.mean() < 0.7
  np.testing.assert_allclose(
    made, np.where(heads, mapped, images), atol=1e-6, rtol=0
  )


def test_its_gradient_is_that_of_a_lookup(images, values, look):
  """Of the table: every pixel's shares, added up."""

  def look_up(values):
    window = jnp.asarray(layer.make_window(_DEVIATION), jnp.float32)
    around = images
    if look == 'depth':
      around = layer.find_heads(images).astype(images.dtype)
    for axis in (1, 2):
      around = jnp.apply_along_axis(
        lambda line: jnp.convolve(line, window, mode='same'), axis, around
      )
    position = [
      each * (knots - 1)
      for each, knots in zip(
        (images, rescale(around, look)), values.shape, strict=True
      )
    ]
    mapped = jax_ndimage.map_coordinates(
      values, position, order=1, mode='nearest'
    )
    return jnp.where(layer.find_heads(images), mapped, images)

  def measure(make):
    return lambda values: jnp.square(make(values)).sum()

  expected = jax.grad(measure(look_up))(values)
  found = jax.grad(
    measure(lambda values: layer.map_contrast(images, values, _DEVIATION, look))
  )(values)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
  assert np.abs(expected).max() > 10


def test_it_is_compiled_without_lookups(images, values, look):
  """Accelerators are slow at them, and add in no certain order."""

  def measure(images, values):
    return layer.map_contrast(images, values, _DEVIATION, look).sum()

  lowered = jax.jit(jax.grad(measure, (0, 1))).lower(images, values).as_text()
  assert 'dot_general' in lowered
  assert 'gather' not in lowered and 'scatter' not in lowered
