"""What devices tell each other in a step, as it is traced."""

import collections

import jax
import jax.numpy as jnp
import pytest

from configs import smoke
from cyclegan_jax import build
from cyclegan_jax.runtime import devices


def count(jaxpr):
  """Of every collective, also in what is called, by its name."""
  found = collections.Counter()
  for equation in jaxpr.eqns:
    if 'axis_index_groups' in equation.params:
      found[equation.primitive.name] += 1
    for inner in jax.tree.leaves(
      list(equation.params.values()), is_leaf=lambda x: hasattr(x, 'eqns')
    ):
      inner = getattr(inner, 'jaxpr', inner)
      if hasattr(inner, 'eqns'):
        found += count(inner)
  return found


@pytest.mark.parametrize('pool_size,gathers', [(0, 0), (2, 2)])
def test_only_pools_gather_images(pool_size, gathers):
  """One a domain; all else that devices tell each other are sums."""
  config = smoke.get_config()
  config.pool_size = pool_size
  make = build.create_state(
    config, build.networks(config), build.schedule(config, steps_per_epoch=4)
  )
  image = jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)
  traced = jax.make_jaxpr(
    lambda *inputs: build.train_step(config)(*inputs, axis_name=devices.AXIS),
    axis_env=[(devices.AXIS, 2)],
  )(jax.eval_shape(make), {'a': image, 'b': image}, jax.random.key(0))
  found = count(traced.jaxpr)
  assert found.pop('all_gather', 0) == gathers
  assert set(found) == {'psum'}
