import jax.numpy as jnp
import numpy as np
import optax

from cyclegan_jax import optimizers


def test_rate_holds_then_falls_linearly_and_never_is_zero():
  schedule = optimizers.hold_then_decay(2e-4, num_steps=100, decay_steps=40)
  rates = np.array([schedule(step) for step in range(100)])
  np.testing.assert_allclose(rates[:61], 2e-4, rtol=1e-6)
  np.testing.assert_allclose(rates[80], 1e-4, rtol=1e-5)
  np.testing.assert_allclose(np.diff(rates[60:]), -2e-4 / 40, rtol=1e-3)
  np.testing.assert_allclose(rates[99], 2e-4 / 40, rtol=1e-4)


def test_the_last_epoch_still_learns():
  """The reference runs it at rate 0."""
  epoch = 10
  schedule = optimizers.hold_then_decay(
    2e-4, num_steps=200 * epoch, decay_steps=100 * epoch
  )
  last = [schedule(step) for step in range(199 * epoch, 200 * epoch)]
  np.testing.assert_allclose(np.mean(last), 2e-4 / 100 * 0.55, rtol=1e-2)


def test_no_decay_holds_to_the_end():
  schedule = optimizers.hold_then_decay(1e-3, num_steps=10, decay_steps=0)
  assert schedule(9) == schedule(0) == 1e-3


def test_adam_follows_the_paper():
  """Kingma and Ba 2015, algorithm 1, by hand for three updates."""
  rate, beta1, beta2 = 0.1, 0.5, 0.999
  tx = optimizers.adam(lambda step: rate, beta1=beta1, beta2=beta2)
  param = jnp.asarray(1.0)
  state = tx.init(param)
  expected, first, second = 1.0, 0.0, 0.0
  for step, gradient in enumerate((0.3, -0.2, 0.5), 1):
    updates, state = tx.update(jnp.asarray(gradient), state, param)
    param = optax.apply_updates(param, updates)
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient**2
    mean = first / (1 - beta1**step)
    deviation = (second / (1 - beta2**step)) ** 0.5
    expected -= rate * mean / (deviation + 1e-8)
  np.testing.assert_allclose(param, expected, rtol=1e-5)
