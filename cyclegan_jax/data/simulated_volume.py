"""A held-out simulated head as a volume, to be looked at in three planes."""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from cyclegan_jax.data import phantom
from cyclegan_jax.mri import intensity

_STEP = 2  # mm between slices
_PERSON = phantom.ROLES.index(('test_a', 'test_b'))  # the first held-out one


def simulate(
  scalings: Mapping[str, intensity.Scaling] | None = None,
  *,
  image_size: int,
  seed: int,
  sequences: Mapping[str, Sequence[float]] = phantom.DEFAULTS,
) -> tuple[str, dict[str, np.ndarray], tuple[float, float, float]]:
  """The first held-out person at every other millimetre.

  Simulated: not a real patient. The anatomy is that of the slices in test_a and
  test_b, between the same heights.

  Args:
    scalings: of the intensities of domain 'a' and 'b'; None: of 8-bit pictures,
      as those of MR are.
    image_size: S, pixels along each side of the field of view.
    seed: of the people.
    sequences: by domain, what `data.sequences` does.

  Returns:
    The person's name; both domains, [N, S, S] in [0, 1]; and mm between
    slices, rows and columns.
  """
  eight_bits = intensity.scale_to_white(255)
  scalings = scalings or dict.fromkeys(sequences, eight_bits)
  pixel = phantom.FIELD_OF_VIEW / image_size
  template = phantom.load_template(blur=0.4 * pixel)
  rng = np.random.default_rng([seed, _PERSON, 0])
  rng.random()  # where slices are drawn, that places them
  heights = np.arange(*phantom.HEIGHTS, _STEP)
  anatomy = phantom.simulate_anatomy(
    template, rng, heights, image_size=image_size
  )
  images = {}
  for domain, sequence in sequences.items():
    noise = np.random.default_rng([seed, _PERSON, phantom.KEYS[domain]])
    scanned = phantom.scan(anatomy, sequence, noise)
    images[domain] = (intensity.to_unit(scanned, scalings[domain]) + 1) / 2
  return f'person{_PERSON:03d}', images, (float(_STEP), pixel, pixel)
