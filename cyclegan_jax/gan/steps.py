"""The algorithm: one alternating update of four networks, one forward pass.

Zhu et al. 2017, section 3 and appendix 7.1. Both gradients are taken at the old
parameters; the discriminators learn on the fakes that the generators have just
made, through the pools. Nothing is computed twice.
"""

from collections.abc import Callable
import functools
import itertools
from typing import Any
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

from cyclegan_jax import array_types
from cyclegan_jax.gan import gradients
from cyclegan_jax.gan import image_pool
from cyclegan_jax.gan import losses
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import step_metrics

# Of a batch and the keys of its rows: crops, and their places, by domain.
Cut = Callable[[array_types.Batch, array_types.Keys], tuple[Any, Any]]


class Objective(NamedTuple):
  """What is minimised.

  Attributes:
    kind: of the adversarial loss, one of `losses.KINDS`.
    cycle: weight of the cycle losses against the adversarial ones.
    identity: likewise for the identity losses; 0 leaves them out altogether.
    discriminator: weight of a discriminator's two verdicts.
  """

  kind: str
  cycle: float
  identity: float
  discriminator: float


def train_step(
  state: state_lib.CycleGANState,
  batch: array_types.Batch,
  key: array_types.Key,
  *,
  objective: Objective,
  axis_name: str | None = None,
  parts: int = 1,
  remat: bool = False,
  ema_decay: float = 0.0,
  cut: Cut | None = None,
) -> tuple[state_lib.CycleGANState, step_metrics.StepMetrics]:
  """Updates both generators, then both discriminators on the same fakes.

  Args:
    state: before the update.
    batch: unpaired images {'a', 'b'}, each [B, H, W, C] in [-1, 1].
    key: of the run; what a step draws is derived from it and `state.step`.
    objective: what is minimised.
    axis_name: of the devices that share a global batch, if any.
    parts: into which the batch is divided, one after the other in memory; the
      gradient is the mean over all.
    remat: whether to make a generator's activations again for its gradient
      instead of keeping them (Chen et al. 2016, "Training Deep Nets with
      Sublinear Memory Cost").
    ema_decay: of the running averages of the generators; 0: `state` has none.
    cut: what makes crops of the batch, which the networks see instead, and the
      places of their pixels for the generators; None: they see the batch.

  Returns:
    The state after the update, and its metrics: totals and single terms, the
    latter unweighted; and 'skipped': 1 if a loss or a gradient is not finite.
    Such a step changes nothing but the count of steps.
  """
  key = jax.random.fold_in(key, state.step)
  dropout_key, pool_key = jax.random.split(key)
  rows = jnp.arange(len(batch['a']))
  if axis_name is not None:  # of the global batch
    rows += lax.axis_index(axis_name) * len(rows)
  keys = jax.vmap(jax.random.fold_in, (None, 0))(dropout_key, rows)
  places = {'a': None, 'b': None}
  if cut is not None:
    # 0 and 1 have been drawn from this key above.
    crop_key = jax.random.fold_in(key, 2)
    batch, places = cut(
      batch, jax.vmap(jax.random.fold_in, (None, 0))(crop_key, rows)
    )

  def generators(params, images):
    batch, keys, places = images
    return generator_loss(
      params, state, batch, objective, keys, places, remat=remat
    )

  def discriminators(params, images):
    batch, past_fakes = images
    return discriminator_loss(params, state, batch, past_fakes, objective)

  gen_grads, (fakes, gen_metrics) = gradients.accumulate(
    generators, state.params('gen_ab', 'gen_ba'), (batch, keys, places), parts
  )
  pools, past_fakes = refresh_pools(state, fakes, pool_key, axis_name)
  disc_grads, (_, disc_metrics) = gradients.accumulate(
    discriminators, state.params('disc_a', 'disc_b'), (batch, past_fakes), parts
  )

  grads, metrics = gen_grads | disc_grads, gen_metrics | disc_metrics
  if axis_name is not None:
    grads, metrics = lax.pmean((grads, metrics), axis_name)
  after = state.apply_gradients(grads, **pools)
  after = after.average(ema_decay) if ema_decay else after
  finite = gradients.are_finite((grads, metrics))
  metrics['skipped'] = 1 - finite.astype(jnp.float32)
  return state.advance(after, where=finite), step_metrics.stack(metrics)


def generator_loss(
  params: dict,
  state: state_lib.CycleGANState,
  batch: array_types.Batch,
  objective: Objective,
  keys: array_types.Keys,
  places: dict[str, Any],
  *,
  remat: bool = False,
):
  """What both generators minimise.

  The reported totals are each generator's own: its adversarial loss, both cycle
  losses and its identity loss. What is differentiated counts each term once,
  which gives every generator the gradient of its own total.

  Args:
    params: {'gen_ab', 'gen_ba'}, the only parameters differentiated.
    state: the rest.
    batch: as in `train_step`.
    objective: likewise.
    keys: of the images' places in the global batch, [B], for dropout.
    places: {'a', 'b'}, where the pixels of crops are, or None; translations
      are where their sources are.
    remat: as in `train_step`.

  Returns:
    The loss, and as aux the fakes {'a', 'b'} and the metrics.
  """
  passes = itertools.count()  # of an image through a generator

  def apply_generator(name, **images):
    """Of images by the domain of their places."""

    def apply(params, images, keys, places):
      also = () if places is None else (places,)
      return getattr(state, name).apply_fn(
        {'params': params}, images, keys, *also
      )

    drawn = [
      jax.vmap(jax.random.fold_in, (0, None))(keys, next(passes))
      for _ in images
    ]
    apply = jax.checkpoint(apply) if remat else apply
    return _apply_together(
      functools.partial(apply, params[name]),
      list(images.values()),
      drawn,
      [places[domain] for domain in images],
    )

  def make_fakes(name, source, target):
    """Fakes of `source`; and `target` mapped, if anything depends on it."""
    if objective.identity == 0:
      return *apply_generator(name, **{source: batch[source]}), batch[target]
    both = {source: batch[source], target: batch[target]}
    return apply_generator(name, **both)

  a, b = batch['a'], batch['b']
  fake_b, same_b = make_fakes('gen_ab', 'a', 'b')
  fake_a, same_a = make_fakes('gen_ba', 'b', 'a')
  (cycled_a,) = apply_generator('gen_ba', a=fake_b)
  (cycled_b,) = apply_generator('gen_ab', b=fake_a)
  terms = {
    'adversarial_ab': _judge(state.disc_b, fake_b, objective.kind),
    'adversarial_ba': _judge(state.disc_a, fake_a, objective.kind),
    'cycle_a': losses.cycle_loss(a, cycled_a),
    'cycle_b': losses.cycle_loss(b, cycled_b),
    'identity_a': losses.identity_loss(a, same_a),
    'identity_b': losses.identity_loss(b, same_b),
  }
  cycles = objective.cycle * (terms['cycle_a'] + terms['cycle_b'])
  own_ab = terms['adversarial_ab'] + objective.identity * terms['identity_b']
  own_ba = terms['adversarial_ba'] + objective.identity * terms['identity_a']
  totals = {'generator_ab': own_ab + cycles, 'generator_ba': own_ba + cycles}
  return own_ab + own_ba + cycles, ({'a': fake_a, 'b': fake_b}, totals | terms)


def discriminator_loss(
  params: dict,
  state: state_lib.CycleGANState,
  batch: array_types.Batch,
  past_fakes: array_types.Batch,
  objective: Objective,
):
  """What both discriminators minimise: the sum of their own losses.

  Args:
    params: {'disc_a', 'disc_b'}, the only parameters differentiated.
    state: the rest.
    batch: as in `train_step`.
    past_fakes: {'a', 'b'}, [B, H, W, C], out of the pools.
    objective: as in `train_step`.

  Returns:
    The loss, and as aux no images and the metrics.
  """

  def judge(domain):
    name = f'disc_{domain}'
    images = jnp.concatenate([batch[domain], past_fakes[domain]])
    scores = getattr(state, name).apply_fn({'params': params[name]}, images)
    real, fake = jnp.split(scores, 2)
    return objective.discriminator * (
      losses.adversarial_loss(real, real=True, kind=objective.kind)
      + losses.adversarial_loss(fake, real=False, kind=objective.kind)
    )

  metrics = {f'discriminator_{domain}': judge(domain) for domain in 'ab'}
  return sum(metrics.values()), ({}, metrics)


def refresh_pools(
  state: state_lib.CycleGANState,
  fakes: array_types.Batch,
  key: array_types.Key,
  axis_name: str | None,
) -> tuple[dict[str, image_pool.ImagePool], array_types.Batch]:
  """Shows the fakes of all devices to the pools.

  The pools are the same on every device: each of them gathers the global batch,
  draws with the same key and keeps its own rows of the answer.

  Returns:
    {'pool_a', 'pool_b'} and the fakes {'a', 'b'} for the discriminators.
  """
  pools, past_fakes = {}, {}
  for domain, domain_key in zip('ab', jax.random.split(key), strict=True):
    images, pool = fakes[domain], getattr(state, f'pool_{domain}')
    # A pool of no images hands each device what it gave.
    shared = axis_name is not None and len(pool.images) > 0
    if shared:
      images = lax.all_gather(images, axis_name, tiled=True)
    pools[f'pool_{domain}'], images = image_pool.query(pool, images, domain_key)
    if shared:
      size = len(fakes[domain])
      start = lax.axis_index(axis_name) * size
      images = lax.dynamic_slice_in_dim(images, start, size)
    past_fakes[domain] = images
  return pools, past_fakes


def _apply_together(apply, *inputs):
  """Lists of trees in one call, which is exact: layers work image by image."""
  joined = [
    jax.tree.map(lambda *each: jnp.concatenate(each), *each) for each in inputs
  ]
  return jnp.split(apply(*joined), len(inputs[0]))


def _judge(discriminator, fakes, kind):
  """How far a discriminator is from taking fakes for real."""
  params = {'params': discriminator.params}
  scores = discriminator.apply_fn(params, fakes)
  return losses.adversarial_loss(scores, real=True, kind=kind)
