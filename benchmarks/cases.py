"""The steps that are measured, by name: NETWORK:SIZE:FEATURES:BATCH."""

import functools


def make_modules(case: str, dtype=None):
  """(generator, discriminator, size, batch size) of a case."""
  from cyclegan_jax.networks import discriminators
  from cyclegan_jax.networks import generators

  network, *numbers = case.split(':')
  size, features, batch_size = map(int, numbers)
  generator = {
    'unet': lambda: generators.UNet(
      features=features,
      levels=min(8, size.bit_length() - 1),
      dropout=0.5,
      dtype=dtype,
    ),
    'resnet': lambda: generators.ResNet(
      features=features, blocks=9 if size >= 256 else 6, dtype=dtype
    ),
  }[network]()
  discriminator = discriminators.PatchDiscriminator(
    features=features, dtype=dtype
  )
  return generator, discriminator, size, batch_size


def make_step(case: str, *, dtype=None, ema_decay=0.0, pool_size=0, **options):
  """(step, function that makes a state, shapes of a batch) of a case."""
  import jax
  import numpy as np
  import optax

  from cyclegan_jax.gan import state as state_lib
  from cyclegan_jax.gan import steps

  generator, discriminator, size, batch_size = make_modules(case, dtype)
  create = functools.partial(
    state_lib.create_state,
    generator=generator,
    discriminator=discriminator,
    tx=optax.adam(2e-4, b1=0.5, b2=0.999),
    image_shape=(size, size, 1),
    pool_size=pool_size,
    averaged=ema_decay > 0,
  )
  step = functools.partial(
    steps.train_step,
    objective=steps.Objective('bce', 1.0, 1.0, 0.5),
    ema_decay=ema_decay,
    **options,
  )
  shape = (batch_size, size, size, 1)
  batch = dict.fromkeys('ab', jax.ShapeDtypeStruct(shape, np.float32))
  return step, create, batch


def compile_step(case: str, *, plain: bool = False, **options):
  """As `make_step`, with the step compiled; `plain`: as XLA would have it."""
  import jax

  from cyclegan_jax.runtime import compiler

  step, create, batch = make_step(case, **options)
  key = jax.random.key(0)
  compiled = (
    jax.jit(step, donate_argnums=0)
    .lower(jax.eval_shape(create, key), batch, key)
    .compile({} if plain else compiler.options())
  )
  return compiled, create, batch


def find_layers(case):
  """(which, images, kernel, stride, padding) of all maps of a step."""
  import jax
  import jax.numpy as jnp

  from cyclegan_jax.networks import convolution

  generator, discriminator, size, batch_size = make_modules(case)
  images = jnp.zeros((batch_size, size, size, 1))
  found = []
  original = convolution.choose_form

  def record(*layer):
    if layer not in found:
      found.append(layer)
    return 'direct'

  convolution.choose_form = record
  try:
    for module in (generator, discriminator):
      params = jax.eval_shape(module.init, jax.random.key(0), images)['params']
      jax.eval_shape(
        jax.grad(
          lambda params, images, module=module: module.apply(
            {'params': params}, images
          ).sum(),
          (0, 1),
        ),
        params,
        images,
      )
  finally:
    convolution.choose_form = original
  return sorted(found)


def least_flops(case: str) -> int:
  """Floating point operations that a step needs at least.

  One pass of an image through a layer costs 2 h w k^2 I O, with h x w the
  smaller of its two maps; let G and D be the sums over a generator's and a
  discriminator's layers, g and d their first layers. With identity losses there
  are six generator passes. Each needs its output (6 G), the gradient of its
  kernels (6 G) and that of its inputs; the latter reach back to an image only
  in the two passes that take a fake, so 6 G - 4 g. A fake is judged twice and a
  real image once: three discriminator passes a domain, 6 D. Kernels learn from
  the four that belong to the discriminators' own loss: 4 D. The generators need
  the gradient of the other two down to the fake, the four stop short of it:
  6 D - 4 d. In all

    18 G - 4 g + 16 D - 4 d
  """
  import jax
  import jax.numpy as jnp

  from cyclegan_jax.networks import convolution

  generator, discriminator, size, batch_size = make_modules(case)
  images = jnp.zeros((1, size, size, 1))
  totals = {}
  for name, module in (('g', generator), ('d', discriminator)):
    layers = []
    originals = convolution.conv, convolution.conv_transpose

    def record(operation, small, layers=layers):
      def wrapped(images, kernel, stride, padding):
        result = operation(images, kernel, stride, padding)
        _, height, width, _ = (result, images)[small].shape
        layers.append(2 * height * width * kernel.size)
        return result

      return wrapped

    convolution.conv = record(originals[0], 0)
    convolution.conv_transpose = record(originals[1], 1)
    try:
      jax.eval_shape(module.init, jax.random.key(0), images)
    finally:
      convolution.conv, convolution.conv_transpose = originals
    totals[name.upper()], totals[name] = sum(layers), layers[0]
  return batch_size * (
    18 * totals['G'] - 4 * totals['g'] + 16 * totals['D'] - 4 * totals['d']
  )
