import numpy as np

from cyclegan_jax.gan import schedules


def test_rate_holds_then_falls_linearly_and_never_is_zero():
  schedule = schedules.hold_then_decay(2e-4, num_steps=100, decay_steps=40)
  rates = np.array([schedule(step) for step in range(100)])
  np.testing.assert_allclose(rates[:61], 2e-4, rtol=1e-6)
  np.testing.assert_allclose(rates[80], 1e-4, rtol=1e-5)
  np.testing.assert_allclose(np.diff(rates[60:]), -2e-4 / 40, rtol=1e-3)
  np.testing.assert_allclose(rates[99], 2e-4 / 40, rtol=1e-4)


def test_the_last_epoch_still_learns():
  """The reference runs it at rate 0."""
  epoch = 10
  schedule = schedules.hold_then_decay(
    2e-4, num_steps=200 * epoch, decay_steps=100 * epoch
  )
  last = [schedule(step) for step in range(199 * epoch, 200 * epoch)]
  np.testing.assert_allclose(np.mean(last), 2e-4 / 100 * 0.55, rtol=1e-2)


def test_no_decay_holds_to_the_end():
  schedule = schedules.hold_then_decay(1e-3, num_steps=10, decay_steps=0)
  assert schedule(9) == schedule(0) == 1e-3
