"""Our training step and our translation against PyTorch's.

  pip install -r benchmarks/requirements.txt
  python -m benchmarks.versus_torch
  python -m benchmarks.versus_torch --only=unet:128:1 --json=rows.json

A case is NETWORK:SIZE:BATCH. `unet` and `resnet` (nine blocks) are whole steps:
six generator passes, the discriminators, all gradients, Adam; the losses and
weights of the CycleGAN paper, no pool and no dropout. `unet-forward` and
`resnet-forward` are one generator's forward pass, as in translation.

Both sides start from the same weights and see the same images. Before anything
is timed their losses (or their images) must agree, so that it is the same work;
those of the second step too, which the gradients of the first one made.

Each side has a process of its own and as many threads as the machine has. They
take turns; the figures are medians, the ratio is PyTorch over ours: above 1 we
are faster. Memory is the peak resident set of each process. PyTorch runs as its
users run it, `--ways`: as it is, with channels last, and with `torch.compile`,
which needs a C++ compiler. What counts is the fastest of those that do the same
work as we: of steps with channels last some have other gradients.
"""

import functools
import json
import math
import zlib

from absl import app
from absl import flags
import numpy as np

from benchmarks import turns

_SIZES = (64, 128, 256)
_CASES = [
  f'{network}:{size}:{batch}'
  for network in ('unet', 'resnet', 'unet-forward', 'resnet-forward')
  for size in _SIZES
  for batch in (1, 4)
]
_WEIGHTS = dict(cycle=10.0, identity=5.0, discriminator=0.5)

_ONLY = flags.DEFINE_multi_string('only', _CASES, 'Cases, NETWORK:SIZE:BATCH.')
_TURNS = flags.DEFINE_integer('turns', 7, 'Timed turns of each side.')
_WAYS = flags.DEFINE_list('ways', ['plain', 'last', 'compile'], 'Of PyTorch.')
_FEATURES = flags.DEFINE_integer('features', 64, 'Width of the networks.')
_JSON = flags.DEFINE_string('json', None, 'Where to write the rows.')


def parse(case: str) -> tuple[str, bool, int, int]:
  """(network, whether forward only, size, batch) of a case."""
  try:
    name, size, batch = case.split(':')
    network, _, rest = name.partition('-')
    if network in ('unet', 'resnet') and rest in ('', 'forward'):
      return network, bool(rest), int(size), int(batch)
  except ValueError:
    pass
  raise app.UsageError(f'--only={case}: such as {_CASES[0]} or {_CASES[-1]}')


def make_modules(network, size, features):
  """Our generator and discriminator."""
  from cyclegan_jax.networks import discriminators
  from cyclegan_jax.networks import generators

  generator = {
    'unet': lambda: generators.UNet(
      features=features, levels=min(8, size.bit_length() - 1)
    ),
    'resnet': lambda: generators.ResNet(features=features, blocks=9),
  }[network]()
  return generator, discriminators.PatchDiscriminator(features=features)


def make_param(network, path, shape):
  """A weight, the same wherever it is made."""
  rng = np.random.default_rng(zlib.crc32(f'{network}/{path}'.encode()))
  param = rng.standard_normal(shape, np.float32)
  param *= 0.02
  return param


def make_batch(size, batch):
  """Images [B, H, W, 1] of both domains."""
  shape = (2, batch, size, size, 1)
  a, b = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
  return {'a': a, 'b': b}


def make_params(module, network, size):
  """Weights for a network of ours."""
  import jax
  import jax.numpy as jnp

  def make(path, like):
    path = jax.tree_util.keystr(path, simple=True, separator='/')
    array = jax.device_put(make_param(network, path, like.shape))
    return jax.block_until_ready(array)  # one on its way at a time

  images = jnp.zeros((1, size, size, 1))
  shapes = jax.eval_shape(module.init, jax.random.key(0), images)['params']
  return jax.tree_util.tree_map_with_path(make, shapes)


def ready_ours(case: str, features: int) -> turns.Turn:
  """Our side: compiled, with its weights."""
  from cyclegan_jax.runtime import host

  host.tune()
  import jax
  import optax

  from cyclegan_jax.gan import state as state_lib
  from cyclegan_jax.gan import steps
  from cyclegan_jax.runtime import compiler

  network, forward, size, batch_size = parse(case)
  generator, discriminator = make_modules(network, size, features)
  batch = jax.device_put(make_batch(size, batch_size))
  if forward:
    params = make_params(generator, 'gen_ab', size)
    apply = jax.jit(lambda params, x: generator.apply({'params': params}, x))
    apply = apply.lower(params, batch['a']).compile(compiler.options())
    return lambda: _figures(np.asarray(apply(params, batch['a'])))

  tx = optax.adam(2e-4, b1=0.5, b2=0.999)
  modules = (generator, generator, discriminator, discriminator)
  networks = {}
  for name, module in zip(state_lib.NETWORKS, modules, strict=True):
    params = make_params(module, name, size)
    networks[name] = jax.jit(
      functools.partial(
        state_lib.train_state.TrainState.create, apply_fn=module.apply, tx=tx
      )
    )(params=params)
  pool = functools.partial(state_lib.image_pool.create_pool, 0, (size, size, 1))
  state = state_lib.CycleGANState(
    **networks, pool_a=pool(), pool_b=pool(), averages={}
  )
  key = jax.random.key(0)
  step = functools.partial(
    steps.train_step, objective=steps.Objective('lsgan', **_WEIGHTS)
  )
  step = jax.jit(step, donate_argnums=0).lower(state, batch, key)
  step = step.compile(compiler.options())
  host.release()
  holder = [state]
  del state, networks

  def turn():
    state, metrics = step(holder.pop(), batch, key)
    holder.append(state)
    jax.block_until_ready(state)
    return {name: float(value) for name, value in metrics.items()}

  return turn


def ready_torch(case: str, features: int, way: str) -> turns.Turn:
  """PyTorch's side, with the same weights, in one of its ways."""
  import torch

  from benchmarks import torch_cyclegan

  torch.set_num_threads(turns.threads())
  network, forward, size, batch_size = parse(case)
  generators = {
    'unet': lambda: torch_cyclegan.UNet(
      features, min(8, size.bit_length() - 1)
    ),
    'resnet': lambda: torch_cyclegan.ResNet(features, 9),
  }

  def make(name):
    with torch.device('meta'):
      if name.startswith('gen'):
        module = generators[network]()
      else:
        module = torch_cyclegan.PatchDiscriminator(features)
    module = torch_cyclegan.load(module, functools.partial(make_param, name))
    if way == 'last':
      module = module.to(memory_format=torch.channels_last)
    return module

  def prepare(module):
    return torch.compile(module) if way == 'compile' else module

  batch = {
    domain: torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    for domain, images in make_batch(size, batch_size).items()
  }
  if way == 'last':
    batch = {
      domain: images.to(memory_format=torch.channels_last)
      for domain, images in batch.items()
    }
  if forward:
    generator = prepare(make('gen_ab').eval())

    def translate():
      with torch.inference_mode():
        return _figures(generator(batch['a']).numpy())

    return translate
  networks = {
    name: prepare(make(name))
    for name in ('gen_ab', 'gen_ba', 'disc_a', 'disc_b')
  }
  return torch_cyclegan.Step(networks, batch, **_WEIGHTS)


def find_difference(ours, theirs):
  """In which figure two sides do not do the same work; nothing if they do."""
  for turn, tolerance in ((0, 1e-4), (1, 2e-2)):
    for name, value in theirs[turn].items():
      if not math.isclose(ours[turn][name], value, rel_tol=tolerance):
        return (
          f'{name} of turn {turn + 1} is {ours[turn][name]:.4f} and PyTorch '
          f'says {value:.4f}'
        )
  return ''


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  for case in _ONLY.value:
    parse(case)
  print(turns.describe_machine('jax', 'torch'))
  print(
    f'{"case":<22}{"ours s":>9}{"torch s":>9}{"ratio":>7}'
    f'{"ours MiB":>10}{"torch MiB":>10}{"ratio":>7}'
  )
  rows = []
  for case in _ONLY.value:
    sides = {
      way: functools.partial(ready_torch, case, _FEATURES.value, way)
      for way in _WAYS.value
    }
    sides['ours'] = functools.partial(ready_ours, case, _FEATURES.value)
    results = turns.take_turns(sides, turns=_TURNS.value)
    ours = results.pop('ours')
    for way, each in list(results.items()):
      difference = find_difference(ours.outcomes, each.outcomes)
      if difference:
        print(f'{case}, {way}: not the same work: {difference}')
        del results[way]
    if not results:
      raise SystemExit(f'{case}: no side does what ours does')
    way, theirs = min(results.items(), key=lambda item: item[1].median_s)
    network, size, batch = case.split(':')
    rows.append(
      {
        'network': network,
        'size': int(size),
        'batch': int(batch),
        'ours_s': ours.median_s,
        'way': way,
        'torch_s': theirs.median_s,
        'ways_s': {name: each.median_s for name, each in results.items()},
        'ratio': theirs.median_s / ours.median_s,
        'ours_mb': ours.peak_mb,
        'torch_mb': theirs.peak_mb,
      }
    )
    print(
      f'{case:<22}{ours.median_s:>9.3f}{theirs.median_s:>9.3f}'
      f'{rows[-1]["ratio"]:>7.2f}{ours.peak_mb:>10.0f}{theirs.peak_mb:>10.0f}'
      f'{ours.peak_mb / theirs.peak_mb:>7.2f}  {way}',
      flush=True,
    )
    if _JSON.value:
      with open(_JSON.value, 'w') as file:
        json.dump(rows, file, indent=2)


def _figures(images):
  """By which two translations are compared."""
  return {'mean': float(np.abs(images).mean()), 'std': float(images.std())}


if __name__ == '__main__':
  app.run(main)
