"""The algorithm: one alternating update of four networks, one forward pass.

Zhu et al. 2017, section 3 and appendix 7.1. Both gradients are taken at the old
parameters; the discriminators learn on the fakes that the generators have just
made, through the pools. Nothing is computed twice.
"""

import itertools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

from cyclegan_jax import array_types
from cyclegan_jax import precision
from cyclegan_jax.gan import gradients
from cyclegan_jax.gan import image_pool
from cyclegan_jax.gan import losses
from cyclegan_jax.gan import state as state_lib
from cyclegan_jax.gan import step_metrics


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

  Returns:
    The state after the update, and its metrics: totals and single terms, the
    latter unweighted; and 'skipped': 1 if a loss or a gradient is not finite.
    Such a step changes nothing but the count of steps.
  """
  dropout_key, pool_key = jax.random.split(jax.random.fold_in(key, state.step))
  rows = jnp.arange(len(batch['a']))
  if axis_name is not None:  # of the global batch
    rows += lax.axis_index(axis_name) * len(rows)
  keys = jax.vmap(jax.random.fold_in, (None, 0))(dropout_key, rows)

  def generators(params, images):
    batch, keys = images
    return generator_loss(params, state, batch, objective, keys, remat=remat)

  def discriminators(params, images):
    batch, past_fakes = images
    return discriminator_loss(params, state, batch, past_fakes, objective)

  gen_grads, (fakes, gen_metrics) = gradients.accumulate(
    generators, state.params('gen_ab', 'gen_ba'), (batch, keys), parts
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
    remat: as in `train_step`.

  Returns:
    The loss, and as aux the fakes {'a', 'b'} and the metrics.
  """
  passes = itertools.count()  # of an image through a generator

  def apply_generator(name, *images):
    """In one call, which is exact: every layer works image by image."""

    def apply(params, images, keys):
      return getattr(state, name).apply_fn({'params': params}, images, keys)

    apply = jax.checkpoint(apply) if remat else apply
    drawn = [
      jax.vmap(jax.random.fold_in, (0, None))(keys, next(passes))
      for _ in images
    ]
    made = apply(params[name], jnp.concatenate(images), jnp.concatenate(drawn))
    return jnp.split(made, len(images))

  def cycle(name, fakes):
    return apply_generator(name, fakes)[0]

  def make_fakes(name, source, target):
    """Fakes of `source`; and `target` mapped, if anything depends on it."""
    if objective.identity == 0:
      return *apply_generator(name, source), target
    return apply_generator(name, source, target)

  a, b = batch['a'], batch['b']
  fake_b, same_b = make_fakes('gen_ab', a, b)
  fake_a, same_a = make_fakes('gen_ba', b, a)
  terms = {
    'adversarial_ab': _judge(state.disc_b, fake_b, objective.kind),
    'adversarial_ba': _judge(state.disc_a, fake_a, objective.kind),
    'cycle_a': losses.cycle_loss(a, cycle('gen_ba', fake_b)),
    'cycle_b': losses.cycle_loss(b, cycle('gen_ab', fake_a)),
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


def translate(
  state: state_lib.CycleGANState, batch: array_types.Batch
) -> dict[str, array_types.Images]:
  """{'fake_a', 'fake_b'} of a batch, each [B, H, W, C], without dropout."""
  return {
    'fake_b': generate(state, 'gen_ab', batch['a']),
    'fake_a': generate(state, 'gen_ba', batch['b']),
  }


def reconstruct(
  state: state_lib.CycleGANState, batch: array_types.Batch
) -> dict[str, array_types.Images]:
  """As `translate`, and the round trips {'cycled_a', 'cycled_b'}."""
  fakes = translate(state, batch)
  return fakes | {
    'cycled_a': generate(state, 'gen_ba', fakes['fake_b']),
    'cycled_b': generate(state, 'gen_ab', fakes['fake_a']),
  }


def generate(
  state: state_lib.CycleGANState, name: str, images: array_types.Images
) -> array_types.Images:
  """Images [B, H, W, C] translated by the generator of that name."""
  params = state.averages.get(name, getattr(state, name).params)
  with precision.exactly():  # they are looked at and scored
    return getattr(state, name).apply_fn({'params': params}, images)


def _judge(discriminator, fakes, kind):
  """How far a discriminator is from taking fakes for real."""
  params = {'params': discriminator.params}
  scores = discriminator.apply_fn(params, fakes)
  return losses.adversarial_loss(scores, real=True, kind=kind)
