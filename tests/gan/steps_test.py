"""The step against a textbook alternation written out by hand."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cyclegan_jax.contrast import fit
from cyclegan_jax.contrast import layer
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import steps
from cyclegan_jax.gan import translations
from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators

_RATE = 0.1
_OBJECTIVE = steps.Objective('lsgan', 10.0, 5.0, 0.5)
_DROPOUT = generators.UNet(features=4, levels=2, dropout=0.5)
_TX = optax.sgd(_RATE)  # one: states of another would be compiled for anew


@functools.cache
def create(**changes):
  """A fresh state, the same at every call; no test donates it."""
  fields = dict(
    generator=generators.UNet(features=4, levels=2),
    discriminator=discriminators.PatchDiscriminator(features=4, layers=1),
    tx=_TX,
    image_shape=(16, 16, 1),
    pool_size=0,
  )
  make = functools.partial(state_lib.create_state, **fields | changes)
  return jax.jit(make)(jax.random.key(0))


@pytest.fixture(scope='module')
def batch():
  a, b = jax.random.uniform(
    jax.random.key(1), (2, 2, 16, 16, 1), minval=-1, maxval=1
  )
  return {'a': a, 'b': b}


def textbook_step(state, batch, objective):
  """Zhu et al. 2017: every loss by its formula, every gradient on its own.

  X, Y, G, F, D_X and D_Y as in the paper; G and F each minimise the full
  objective, then D_X and D_Y judge the fakes that were made before.
  """
  params = state.params(*state_lib.NETWORKS)
  generate, discriminate = state.gen_ab.apply_fn, state.disc_a.apply_fn
  x, y = batch['a'], batch['b']

  def net(apply, params, images):
    return apply({'params': params}, images)

  def cost(logits, label):
    if objective.kind == 'lsgan':
      return jnp.mean((logits - label) ** 2)
    probability = 1 / (1 + jnp.exp(-logits))
    return -jnp.mean(
      label * jnp.log(probability) + (1 - label) * jnp.log(1 - probability)
    )

  def l1(one, other):
    return jnp.mean(jnp.abs(one - other))

  def full_objective(g, f):
    fake_y = net(generate, g, x)
    fake_x = net(generate, f, y)
    gan = cost(net(discriminate, params['disc_b'], fake_y), 1.0) + cost(
      net(discriminate, params['disc_a'], fake_x), 1.0
    )
    cycle = l1(net(generate, f, fake_y), x) + l1(net(generate, g, fake_x), y)
    identity = l1(net(generate, g, y), y) + l1(net(generate, f, x), x)
    return gan + objective.cycle * cycle + objective.identity * identity

  def discriminator_cost(d, real, fake):
    return objective.discriminator * (
      cost(net(discriminate, d, real), 1.0)
      + cost(net(discriminate, d, fake), 0.0)
    )

  g, f = params['gen_ab'], params['gen_ba']
  fake_y, fake_x = net(generate, g, x), net(generate, f, y)
  grads = {
    'gen_ab': jax.grad(full_objective, 0)(g, f),
    'gen_ba': jax.grad(full_objective, 1)(g, f),
    'disc_a': jax.grad(discriminator_cost)(params['disc_a'], x, fake_x),
    'disc_b': jax.grad(discriminator_cost)(params['disc_b'], y, fake_y),
  }
  return {
    name: jax.tree.map(lambda p, g: p - _RATE * g, params[name], grads[name])
    for name in params
  }


@pytest.mark.parametrize(
  'objective',
  [
    steps.Objective('bce', 1.0, 1.0, 0.5),
    steps.Objective('lsgan', 10.0, 5.0, 0.5),
    steps.Objective('lsgan', 10.0, 0.0, 1.0),
  ],
)
def test_step_equals_the_textbook(batch, objective):
  state = create()
  step = jax.jit(functools.partial(steps.train_step, objective=objective))
  textbook = jax.jit(functools.partial(textbook_step, objective=objective))
  for _ in range(2):
    expected = textbook(state, batch)
    state, _ = step(state, batch, jax.random.key(2))
    actual = state.params(*state_lib.NETWORKS)
    chex.assert_trees_all_close(actual, expected, rtol=1e-4, atol=1e-6)
  assert state.step == 2


@pytest.fixture(scope='module')
def tracked():
  """A compiled step with dropout and pools, and how often it was traced."""
  traces = []

  @jax.jit
  def step(state, batch, key):
    traces.append(None)
    return steps.train_step(state, batch, key, objective=_OBJECTIVE)

  return create(generator=_DROPOUT, pool_size=3), step, traces


def test_metrics_add_up(tracked, batch):
  state, step, _ = tracked
  _, metrics = step(state, batch, jax.random.key(0))
  chex.assert_tree_all_finite(metrics)
  chex.assert_shape(metrics.vector, (len(metrics),))
  cycle = _OBJECTIVE.cycle * (metrics['cycle_a'] + metrics['cycle_b'])
  np.testing.assert_allclose(
    metrics['generator_ab'],
    metrics['adversarial_ab']
    + cycle
    + _OBJECTIVE.identity * metrics['identity_b'],
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    metrics['generator_ba'],
    metrics['adversarial_ba']
    + cycle
    + _OBJECTIVE.identity * metrics['identity_a'],
    rtol=1e-6,
  )


def test_traced_once(tracked, batch):
  state, step, traces = tracked
  for _ in range(3):
    state, _ = step(state, batch, jax.random.key(0))
  assert len(traces) == 1


def test_dropout_is_derived_from_the_step(tracked, batch):
  """The same step draws the same, the next one something else."""
  state, step, _ = tracked
  key = jax.random.key(0)
  (_, first), (_, again) = step(state, batch, key), step(state, batch, key)
  chex.assert_trees_all_equal(first, again)
  later = state.replace(gen_ab=state.gen_ab.replace(step=jnp.int32(5)))
  _, other = step(later, batch, key)
  assert first['cycle_a'] != other['cycle_a']


def test_pools_fill_with_the_fakes(tracked, batch):
  state, step, _ = tracked
  after, _ = step(state, batch, jax.random.key(0))
  assert after.pool_a.count == after.pool_b.count == 2
  assert jnp.abs(after.pool_b.images[:2]).min(axis=(1, 2, 3)).max() < 1
  assert not after.pool_b.images[2].any()


@pytest.mark.parametrize('value', [jnp.nan, jnp.inf])
def test_a_step_without_a_finite_loss_changes_its_count_alone(
  tracked, batch, value
):
  state, step, _ = tracked
  key = jax.random.key(0)
  broken = batch | {'a': batch['a'].at[1, 3, 4].set(value)}
  after, metrics = step(state, broken, key)
  assert metrics['skipped'] == 1
  assert not np.isfinite(metrics['generator_ab'])
  for name in state_lib.NETWORKS:
    assert getattr(after, name).step == 1
    after = after.replace(**{name: getattr(after, name).replace(step=0)})
    state = state.replace(**{name: getattr(state, name).replace(step=0)})
  chex.assert_trees_all_equal(after, state)
  _, metrics = step(after, batch, key)
  assert metrics['skipped'] == 0


def test_reconstruct_names_and_shapes(tracked, batch):
  state, _, _ = tracked
  images = jax.jit(translations.reconstruct)(state, batch)
  assert set(images) == {'fake_a', 'fake_b', 'cycled_a', 'cycled_b'}
  chex.assert_shape(list(images.values()), (2, 16, 16, 1))
  chex.assert_trees_all_close(
    images['cycled_a'],
    translations.generate(
      state, 'gen_ba', translations.generate(state, 'gen_ab', batch['a'])
    ),
    atol=1e-5,
  )


@functools.cache
def compile_step(**options):
  step = functools.partial(steps.train_step, objective=_OBJECTIVE, **options)
  return jax.jit(step)


def update(batch, changes=None, count=2, **options):
  """The state and metrics after a few steps with some option."""
  step = compile_step(**options)
  state = create(pool_size=3, **changes or {})
  for _ in range(count):
    state, metrics = step(state, batch, jax.random.key(0))
  return state, metrics


def assert_same_step(found, expected):
  """The parameters, the pools and the metrics are the same."""
  (state, metrics), (expected, expected_metrics) = found, expected
  chex.assert_trees_all_close(metrics, expected_metrics, rtol=1e-4)
  names = state_lib.NETWORKS
  chex.assert_trees_all_close(
    state.params(*names), expected.params(*names), rtol=1e-4, atol=1e-6
  )
  chex.assert_trees_all_close(state.pool_a, expected.pool_a, atol=1e-5)


def test_a_batch_in_parts_is_the_batch(batch):
  assert_same_step(update(batch, parts=2), update(batch))


def test_crops_are_translated_where_they_were_cut(batch):
  """There and back by hand: translations have the places of their sources."""
  start = layer.ContrastLayer(1.0, look='depth', name='contrast_map')
  generator = generators.ResNet(features=2, blocks=1, start=start)
  state = create(generator=generator)
  for seed, name in enumerate(('gen_ab', 'gen_ba')):
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 1, fit.unchanged('depth').shape).astype(np.float32)
    state = state.change_params(
      name,
      lambda params, values=values: (
        params | {'contrast_map': {'values': jnp.asarray(values)}}
      ),
    )
  window = np.s_[:, 2:14, 1:13]
  drawn = np.random.default_rng(2).uniform(0, 1, (2, 2, 12, 12, 1))
  places = {
    domain: layer.Places(jnp.asarray(x > 0.2), jnp.asarray(x, jnp.float32))
    for domain, x in zip('ab', drawn, strict=True)
  }
  crops = {domain: x[window] for domain, x in batch.items()}

  def cut(batch, keys):
    assert keys.shape == (2,) and batch['a'].shape == (2, 16, 16, 1)
    return crops, places

  after, metrics = steps.train_step(
    state, batch, jax.random.key(0), objective=_OBJECTIVE, cut=cut
  )
  for name in ('gen_ab', 'gen_ba'):
    found, before = (getattr(x, name).params for x in (after, state))
    # Maps are as they were fitted; what is added to them is learnt.
    chex.assert_trees_all_equal(found['contrast_map'], before['contrast_map'])
    assert np.any(found['out']['kernel'] != before['out']['kernel'])

  def generate(name, images, domain):
    params = {'params': getattr(state, name).params}
    return generator.apply(params, images, None, places[domain])

  for source, there, back in (
    ('a', 'gen_ab', 'gen_ba'),
    ('b', 'gen_ba', 'gen_ab'),
  ):
    cycled = generate(back, generate(there, crops[source], source), source)
    same = generate(back, crops[source], source)
    elsewhere = generate(back, crops[source], 'ba'['ab'.index(source)])
    assert jnp.abs(same - elsewhere).max() > 0.1
    for name, images in (('cycle', cycled), ('identity', same)):
      np.testing.assert_allclose(
        metrics[f'{name}_{source}'],
        jnp.mean(jnp.abs(images - crops[source])),
        rtol=1e-4,
      )


def test_remat_draws_the_same_dropout_again(tracked, batch):
  state, step, _ = tracked
  for _ in range(2):
    state, metrics = step(state, batch, jax.random.key(0))
  found = update(batch, {'generator': _DROPOUT}, remat=True)
  assert_same_step(found, (state, metrics))


def test_averages_are_the_closed_form_of_the_parameters(batch):
  """Weights of a warmed-up average, by hand: 2/11, then 3/12 of the old."""
  history = [create().gen_ab.params]
  for count in (1, 2):
    state, _ = update(batch, {'averaged': True}, count=count, ema_decay=0.9)
    history.append(state.gen_ab.params)
  start, first, second = history
  expected = jax.tree.map(
    lambda x, y, z: 3 / 12 * (2 / 11 * x + 9 / 11 * y) + 9 / 12 * z,
    start,
    first,
    second,
  )
  chex.assert_trees_all_close(
    state.averages['gen_ab'], expected, rtol=1e-5, atol=1e-6
  )
  images = translations.generate(state, 'gen_ab', batch['a'])
  averaged = state.gen_ab.apply_fn({'params': expected}, batch['a'])
  newest = state.gen_ab.apply_fn({'params': second}, batch['a'])
  np.testing.assert_allclose(images, averaged, atol=1e-5)
  assert np.abs(images - newest).max() > 1e-3


def test_bfloat16_computes_and_float32_keeps(batch):
  networks = dict(
    generator=generators.UNet(features=4, levels=2, dtype='bfloat16'),
    discriminator=discriminators.PatchDiscriminator(
      features=4, layers=1, dtype='bfloat16'
    ),
  )
  state, metrics = update(batch, networks, count=1)
  expected, expected_metrics = update(batch, count=1)
  types, expected_types = (
    [leaf.dtype for leaf in jax.tree.leaves(each)] for each in (state, expected)
  )
  assert types == expected_types
  chex.assert_trees_all_close(metrics, expected_metrics, rtol=0.05)
  # In the program, not in the result: a CPU may compute it more precisely.
  program = str(
    jax.make_jaxpr(state.gen_ab.apply_fn)(
      {'params': state.gen_ab.params}, batch['a']
    )
  )
  assert 'bf16[4,4,1,4]' in program  # a kernel, as the convolution sees it
