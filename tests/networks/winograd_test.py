"""Winograd's convolution beside the sum over nine taps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from cyclegan_jax.networks import convolution
from cyclegan_jax.networks import convolution_forms as forms


@pytest.mark.parametrize('padding', [0, 1, 2])
@pytest.mark.parametrize('sides', [(7, 8), (6, 3), (4, 5)])
def test_it_equals_scipy_and_its_gradients_are_transposes(sides, padding):
  """Sides that tiles do not divide, in float64."""
  with jax.enable_x64():
    rng = np.random.default_rng(0)
    images, kernel = (
      rng.normal(size=(2, *sides, 3)),
      rng.normal(size=(3, 3, 3, 2)),
    )
    padded = np.pad(images, ((0, 0), *((padding, padding),) * 2, (0, 0)))
    expected = [
      sum(
        signal.correlate2d(image[..., i], kernel[..., i, o], mode='valid')
        for i in range(3)
      )
      for image in padded
      for o in range(2)
    ]
    made = forms.FORMS['forward']['winograd'](images, kernel, 1, padding)
    np.testing.assert_allclose(
      np.moveaxis(made, 3, 1).reshape(-1, *made.shape[1:3]),
      expected,
      atol=1e-12,
    )
    # <conv(x, k), y> = <x, input(y, k)> = <k, kernel(x, y)>
    weights = jnp.asarray(rng.normal(size=made.shape))
    product = (made * weights).sum()
    for which, array, arguments in (
      ('input', images, (weights, kernel, images.shape)),
      ('kernel', kernel, (images, weights, kernel.shape)),
    ):
      gradient = forms.FORMS[which]['winograd'](*arguments, 1, padding)
      np.testing.assert_allclose((array * gradient).sum(), product, rtol=1e-12)


def test_it_rounds_no_worse_than_the_sum_over_taps():
  rng = np.random.default_rng(0)
  images = rng.normal(size=(1, 34, 34, 64)).astype(np.float32)
  kernel = rng.normal(size=(3, 3, 64, 64)).astype(np.float32)
  with jax.enable_x64():
    exact = np.asarray(
      forms.FORMS['forward']['direct'](
        images.astype(np.float64), kernel.astype(np.float64), 1, 0
      )
    )
  errors = {
    form: np.std(forms.FORMS['forward'][form](images, kernel, 1, 0) - exact)
    for form in ('direct', 'winograd')
  }
  assert errors['winograd'] < 1.2 * errors['direct']


def test_bfloat16_is_summed_in_float32():
  """Rounded once, at the end: the transforms lose nothing more."""
  rng = np.random.default_rng(0)
  images, kernel = (
    jnp.asarray(rng.normal(size=shape), jnp.bfloat16)
    for shape in ((1, 10, 10, 8), (3, 3, 8, 8))
  )
  made = forms.FORMS['forward']['winograd'](images, kernel, 1, 0)
  exact = forms.FORMS['forward']['direct'](
    images.astype(jnp.float32), kernel.astype(jnp.float32), 1, 0
  )
  assert made.dtype == jnp.bfloat16
  np.testing.assert_allclose(made, exact, rtol=2**-8, atol=1e-5)


@pytest.mark.parametrize(
  'images,kernel,stride,form',
  [
    ((1, 66, 66, 256), (3, 3, 256, 256), 1, 'winograd'),
    ((4, 34, 34, 128), (3, 3, 128, 128), 1, 'winograd'),
    ((1, 18, 18, 256), (3, 3, 256, 256), 1, 'direct'),  # few tiles
    ((1, 66, 66, 64), (3, 3, 64, 64), 1, 'direct'),  # few channels
    ((1, 66, 66, 128), (3, 3, 128, 256), 2, 'direct'),
    ((1, 66, 66, 128), (4, 4, 128, 256), 1, 'direct'),
  ],
)
def test_large_layers_take_it_where_no_accelerator_does_better(
  monkeypatch, images, kernel, stride, form
):
  layer = ('forward', images, kernel, stride, 0)
  assert convolution.choose_form(*layer) == form
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert convolution.choose_form(*layer) == 'direct'
