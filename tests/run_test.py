"""How long a run is."""

import types

import pytest

from configs import smoke
from cyclegan_jax import run


@pytest.mark.parametrize(
  'sizes,batch_size,max_steps,expected',
  [
    ((7, 5), 4, 0, (2, 6, 6)),  # an epoch shows all of the larger domain
    ((5, 7), 4, 0, (2, 6, 6)),
    ((8, 5), 4, 0, (2, 6, 6)),
    ((9, 5), 4, 0, (3, 9, 9)),
    ((9, 5), 1, 0, (9, 27, 27)),
    ((9, 5), 1, 10, (9, 27, 10)),  # cut short
    ((9, 5), 1, 100, (9, 27, 27)),  # never longer than the recipe
  ],
)
def test_a_plan_is_of_whole_epochs(sizes, batch_size, max_steps, expected):
  config = smoke.get_config()
  config.num_epochs = 3
  config.batch_size = batch_size
  config.max_steps = max_steps
  slices = dict(zip('ab', map(range, sizes), strict=True))
  plan = run.make_plan(config, types.SimpleNamespace(train=slices))
  assert plan == expected
