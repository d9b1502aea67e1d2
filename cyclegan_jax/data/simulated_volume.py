"""A held-out simulated head as a volume, to be looked at in three planes."""

import numpy as np

from cyclegan_jax.data import phantom

_STEP = 2  # mm between slices
_PERSON = phantom.ROLES.index(('test_a', 'test_b'))  # the first held-out one


def simulate(
  *, image_size: int, seed: int
) -> tuple[str, dict[str, np.ndarray], tuple[float, float, float]]:
  """The first held-out person at every other millimetre.

  Simulated: not a real patient. The anatomy is that of the slices in test_a and
  test_b, between the same heights.

  Args:
    image_size: S, pixels along each side of the field of view.
    seed: of the people.

  Returns:
    The person's name; T1w as 'a' and T2w as 'b', [N, S, S] in [0, 1]; and mm
    between slices, rows and columns.
  """
  pixel = phantom.FIELD_OF_VIEW / image_size
  template = phantom.load_template(blur=0.4 * pixel)
  rng = np.random.default_rng([seed, _PERSON, 0])
  rng.random()  # where slices are drawn, that places them
  heights = np.arange(*phantom.HEIGHTS, _STEP)
  anatomy = phantom.simulate_anatomy(
    template, rng, heights, image_size=image_size
  )
  images = {}
  for domain, contrast in (('a', phantom.T1W), ('b', phantom.T2W)):
    noise = np.random.default_rng([seed, _PERSON, contrast.key])
    images[domain] = phantom.scan(anatomy, contrast, noise) / np.float32(255)
  return f'person{_PERSON:03d}', images, (float(_STEP), pixel, pixel)
