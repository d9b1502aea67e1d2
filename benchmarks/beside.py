"""What stands beside a recipe on the same slices: reference, and ceiling.

  python -m benchmarks.beside --kind=torch --config=configs/t1t2_resnet.py \
      --config.data.train_a=DIR ... --config.max_steps=1000
  python -m benchmarks.beside --kind=supervised \
      --config=configs/t1t2_best.py --config.data.train_a=DIR ...

`torch`: the CycleGAN of junyanz/pytorch-CycleGAN-and-pix2pix as written in
torch_cyclegan.py, with the config's networks, losses and schedule, on the very
images in the very order that our run with this config sees. Least squares and
ResNets only, no pool, no averages.

`supervised`: the config's generators learn from pairs, slices of the same name
in data.train_a and data.train_b, what no unpaired training has: mean absolute
error, with the config's optimizer, schedule and averages. What they reach on
people they have not seen is about what this network can reach from so few
people; what is missing there is not the fault of unpaired training.

Both score the held-out pairs as a run does while it trains, and print one JSON
line every --config.evaluate_every_steps.
"""

import dataclasses
import functools
import json
import time

from absl import app
from absl import flags
from ml_collections import config_flags
import numpy as np

from benchmarks import turns

_CONFIG = config_flags.DEFINE_config_file('config', None, 'A recipe.')
_KIND = flags.DEFINE_enum('kind', None, ['torch', 'supervised'], 'Which.')
flags.mark_flags_as_required(['config', 'kind'])


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'stray word {argv[1]!r}')
  from cyclegan_jax import build
  from cyclegan_jax import inputs
  from cyclegan_jax import run
  from cyclegan_jax.evaluation import monitor
  from cyclegan_jax.runtime import host

  host.tune()
  config = _CONFIG.value
  print(turns.describe_machine('jax', 'flax', 'optax'))
  data = inputs.open_data(config)
  if not data.pairs:
    raise app.UsageError('name pairs: --config.data.test_a=DIR and test_b')
  plan = run.make_plan(config, data)
  schedule = build.schedule(config, steps_per_epoch=plan.steps_per_epoch)
  ready = {'torch': ready_torch, 'supervised': ready_supervised}[_KIND.value]
  update, translate = ready(config, data, schedule)
  seconds = 0.0
  for step in range(plan.num_steps):
    begin = time.perf_counter()
    update(step)
    seconds += time.perf_counter() - begin
    done = step + 1
    if done == plan.num_steps or done % config.evaluate_every_steps == 0:
      scores = monitor.validate(data.pairs, translate)
      line = {'step': done, 'seconds': seconds} | scores
      print(
        json.dumps({name: round(each, 3) for name, each in line.items()}),
        flush=True,
      )


def ready_torch(config, data, schedule):
  """(update(step), translate) of PyTorch's CycleGAN."""
  import torch

  from benchmarks import torch_cyclegan
  from cyclegan_jax import inputs

  torch.set_num_threads(turns.threads())
  torch.manual_seed(config.seed)
  generator, width = config.generator, config.discriminator.features
  networks = {
    'gen_ab': torch_cyclegan.ResNet(generator.features, generator.blocks),
    'gen_ba': torch_cyclegan.ResNet(generator.features, generator.blocks),
    'disc_a': torch_cyclegan.PatchDiscriminator(width),
    'disc_b': torch_cyclegan.PatchDiscriminator(width),
  }
  for network in networks.values():
    _initialise(network)
  weights = dict(config.loss)
  if weights.pop('kind') != 'lsgan' or config.discriminator.layers != 3:
    raise app.UsageError('torch: least squares and three layers only')
  step = torch_cyclegan.Step(networks, None, **weights)
  batches = inputs.train_batches(config, data)

  def to_torch(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))

  def update(number):
    step.batch = {name: to_torch(each) for name, each in next(batches).items()}
    for optimizer in (step.gen_adam, step.disc_adam):
      optimizer.param_groups[0]['lr'] = float(schedule(number))
    step()

  def translate(batch):
    with torch.inference_mode():
      return {
        fake: networks[name](to_torch(batch[source])).numpy()[:, 0, ..., None]
        for fake, name, source in (
          ('fake_b', 'gen_ab', 'a'),
          ('fake_a', 'gen_ba', 'b'),
        )
      }

  return update, translate


def _initialise(network):
  """As the reference: kernels of deviation 0.02, no biases."""
  import torch

  for parameter in network.parameters():
    if parameter.ndim > 1:
      torch.nn.init.normal_(parameter, 0.0, 0.02)
    else:
      torch.nn.init.zeros_(parameter)


def ready_supervised(config, data, schedule):
  """(update(step), translate) of the config's generators, with pairs."""
  import jax

  from cyclegan_jax import build
  from cyclegan_jax import maps
  from cyclegan_jax.gan import losses
  from cyclegan_jax.gan import translations
  from cyclegan_jax.runtime import compiler

  modules = build.networks(config)
  state = jax.jit(build.create_state(config, modules, schedule))()
  state = maps.fit_start(config, data, state)
  names = set.intersection(
    *({one.name for one in each.slices} for each in data.train.values())
  )
  if not names:
    raise app.UsageError('supervised: no slices of the same name to train on')
  paired = {
    domain: dataclasses.replace(
      each,
      slices=tuple(
        sorted(
          (one for one in each.slices if one.name in names),
          key=lambda one: one.name,
        )
      ),
    )
    for domain, each in data.train.items()
  }

  @functools.partial(compiler.jit, donate_argnums=0)
  def learn(state, batch):
    def error(params, name, source, target):
      apply = getattr(state, name).apply_fn
      made = apply({'params': params[name]}, batch[source])
      return losses.cycle_loss(batch[target][..., : made.shape[-1]], made)

    def loss(params):
      return error(params, 'gen_ab', *'ab') + error(params, 'gen_ba', *'ba')

    grads = jax.grad(loss)(state.params('gen_ab', 'gen_ba'))
    state = state.apply_gradients(grads)
    return state.average(config.ema_decay) if config.ema_decay else state

  rng = np.random.default_rng(config.seed)
  holder = [state]
  compiled = compiler.jit(translations.translate)

  def update(number):
    del number
    rows = rng.integers(len(names), size=config.batch_size)
    flips = rng.integers(2, size=config.batch_size)
    batch = {
      domain: np.stack(
        [
          each.load(row)[:, :: -1 if flip else 1]
          for row, flip in zip(rows, flips, strict=True)
        ]
      )
      for domain, each in paired.items()
    }
    holder.append(jax.block_until_ready(learn(holder.pop(), batch)))

  def translate(batch):
    return compiled(holder[0], batch)

  return update, translate


if __name__ == '__main__':
  app.run(main)
