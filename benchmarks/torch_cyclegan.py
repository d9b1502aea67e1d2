"""The CycleGAN step in PyTorch: what ours is measured by, and tested against.

Written to the same algorithm as junyanz/pytorch-CycleGAN-and-pix2pix: its
networks, losses, order of updates and optimizer, its in-place activations, its
gradients of the discriminators switched off while the generators learn. As in
ours the biases that a normalisation cancels are left out.

Modules and parameters carry the names of `cyclegan_jax.networks`, so that one
set of weights fits both.
"""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class UNet(nn.Module):
  """`generators.UNet` without dropout; images [B, 1, H, W]."""

  def __init__(
    self,
    features: int,
    levels: int,
    *,
    leak: float = 0.2,
    skip_leak: float = 0.0,
    affine: bool = False,
    norm_innermost: bool = False,
  ):
    super().__init__()
    self.leak, self.skip_leak = leak, skip_leak
    widths = [features * min(2**i, 8) for i in range(levels)]
    layer = dict(kernel_size=4, stride=2, padding=1)
    self.levels = levels
    self.normalised = range(1, levels if norm_innermost else levels - 1)
    for level, width in enumerate(widths):
      before = widths[level - 1] if level else 1
      self.add_module(
        f'down_{level}',
        nn.Conv2d(
          before,
          width,
          bias=level not in self.normalised and not affine,
          **layer,
        ),
      )
      if level in self.normalised:
        self.add_module(
          f'down_norm_{level}', nn.InstanceNorm2d(width, affine=affine)
        )
    for level, width in enumerate(widths[:-1]):
      below = widths[level + 1] * (1 if level == levels - 2 else 2)
      self.add_module(
        f'up_{level}', nn.ConvTranspose2d(below, width, bias=False, **layer)
      )
      self.add_module(
        f'up_norm_{level}', nn.InstanceNorm2d(width, affine=affine)
      )
    self.out = nn.ConvTranspose2d(2 * features, 1, **layer)

  def forward(self, images):
    skips, features = [], images
    for level in range(self.levels):
      if level:
        features = functional.leaky_relu(features, self.leak)
      features = getattr(self, f'down_{level}')(features)
      if level in self.normalised:
        features = getattr(self, f'down_norm_{level}')(features)
      skips.append(features)
    features = self.rectify_skip(skips.pop(), inplace=True)
    for level in reversed(range(self.levels - 1)):
      features = getattr(self, f'up_{level}')(features)
      features = getattr(self, f'up_norm_{level}')(features)
      if self.skip_leak:
        features = functional.relu(features, inplace=True)
        skip = self.rectify_skip(skips.pop())
        features = torch.cat([skip, features], dim=1)
      else:  # both at once, in place
        features = torch.cat([skips.pop(), features], dim=1)
        features = functional.relu(features, inplace=True)
    return torch.tanh(self.out(features))

  def rectify_skip(self, features, inplace=False):
    if not self.skip_leak:
      return functional.relu(features, inplace=inplace)
    return functional.leaky_relu(features, self.skip_leak, inplace=inplace)


class ResNet(nn.Module):
  """`generators.ResNet`; images [B, 1, H, W]."""

  def __init__(self, features: int, blocks: int):
    super().__init__()
    self.blocks = blocks
    wide, wider = 2 * features, 4 * features
    halving = dict(kernel_size=3, stride=2, padding=1, bias=False)
    self.add_module('first', nn.Conv2d(1, features, 7, bias=False))
    self.down_1 = nn.Conv2d(features, wide, **halving)
    self.down_2 = nn.Conv2d(wide, wider, **halving)
    for i in range(blocks):
      self.add_module(
        f'block_{i}',
        nn.ModuleDict(
          {f'conv_{j}': nn.Conv2d(wider, wider, 3, bias=False) for j in (0, 1)}
        ),
      )
    self.up_1 = nn.ConvTranspose2d(wider, wide, output_padding=1, **halving)
    self.up_0 = nn.ConvTranspose2d(wide, features, output_padding=1, **halving)
    self.out = nn.Conv2d(features, 1, 7)

  def forward(self, images):
    def norm_relu(features):
      features = functional.instance_norm(features, eps=1e-5)
      return functional.relu(features, inplace=True)

    def reflect(features, margin):
      return functional.pad(features, (margin,) * 4, mode='reflect')

    features = norm_relu(self.first(reflect(images, 3)))
    features = norm_relu(self.down_1(features))
    features = norm_relu(self.down_2(features))
    for i in range(self.blocks):
      block = getattr(self, f'block_{i}')
      inner = norm_relu(block['conv_0'](reflect(features, 1)))
      inner = block['conv_1'](reflect(inner, 1))
      features = features + functional.instance_norm(inner, eps=1e-5)
    features = norm_relu(self.up_1(features))
    features = norm_relu(self.up_0(features))
    return torch.tanh(self.out(reflect(features, 3)))


class PatchDiscriminator(nn.Module):
  """`discriminators.PatchDiscriminator`; images [B, 1, H, W]."""

  def __init__(
    self,
    features: int,
    *,
    layers: int = 3,
    leak: float = 0.2,
    affine: bool = False,
  ):
    super().__init__()
    self.layers, self.leak = layers, leak
    layer = dict(kernel_size=4, padding=1)
    self.conv_0 = nn.Conv2d(1, features, stride=2, bias=not affine, **layer)
    widths = [features * min(2**i, 8) for i in range(layers + 1)]
    for i in range(1, layers + 1):
      self.add_module(
        f'conv_{i}',
        nn.Conv2d(
          widths[i - 1],
          widths[i],
          stride=2 if i < layers else 1,
          bias=False,
          **layer,
        ),
      )
      self.add_module(f'norm_{i}', nn.InstanceNorm2d(widths[i], affine=affine))
    self.out = nn.Conv2d(widths[-1], 1, **layer)

  def forward(self, images):
    features = self.conv_0(images)
    features = functional.leaky_relu(features, self.leak, inplace=True)
    for i in range(1, self.layers + 1):
      features = getattr(self, f'conv_{i}')(features)
      features = getattr(self, f'norm_{i}')(features)
      features = functional.leaky_relu(features, self.leak, inplace=True)
    return self.out(features)


class Step:
  """One update of four networks after another; remembers what it needs.

  Args:
    networks: {'gen_ab', 'gen_ba', 'disc_a', 'disc_b'}.
    batch: images {'a', 'b'}, each [B, 1, H, W] in [-1, 1].
    cycle, identity, discriminator: weights of the losses.
    kind: of the adversarial loss, one of `losses.KINDS`.
  """

  def __init__(
    self, networks, batch, *, cycle, identity, discriminator, kind='lsgan'
  ):
    self.networks, self.batch, self.kind = networks, batch, kind
    self.weights = cycle, identity, discriminator

    def adam(first, second):
      parameters = itertools.chain(
        networks[first].parameters(), networks[second].parameters()
      )
      return torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999))

    self.gen_adam = adam('gen_ab', 'gen_ba')
    self.disc_adam = adam('disc_a', 'disc_b')

  def __call__(self) -> dict[str, float]:
    """Updates everything; returns the metrics of `steps.train_step`."""
    cycle, identity, discriminator = self.weights
    a, b = self.batch['a'], self.batch['b']
    gen_ab, gen_ba, disc_a, disc_b = self.networks.values()

    fake_b, fake_a = gen_ab(a), gen_ba(b)
    cycled_a, cycled_b = gen_ba(fake_b), gen_ab(fake_a)

    for network in (disc_a, disc_b):
      network.requires_grad_(False)
    self.gen_adam.zero_grad()
    terms = {
      'identity_b': functional.l1_loss(gen_ab(b), b),
      'identity_a': functional.l1_loss(gen_ba(a), a),
      'adversarial_ab': judge(disc_b(fake_b), 1.0, self.kind),
      'adversarial_ba': judge(disc_a(fake_a), 1.0, self.kind),
      'cycle_a': functional.l1_loss(cycled_a, a),
      'cycle_b': functional.l1_loss(cycled_b, b),
    }
    total = (
      terms['adversarial_ab']
      + terms['adversarial_ba']
      + cycle * (terms['cycle_a'] + terms['cycle_b'])
      + identity * (terms['identity_a'] + terms['identity_b'])
    )
    total.backward()
    self.gen_adam.step()

    for network in (disc_a, disc_b):
      network.requires_grad_(True)
    self.disc_adam.zero_grad()
    for domain, network, real, fake in (
      ('a', disc_a, a, fake_a),
      ('b', disc_b, b, fake_b),
    ):
      loss = discriminator * (
        judge(network(real), 1.0, self.kind)
        + judge(network(fake.detach()), 0.0, self.kind)
      )
      loss.backward()
      terms[f'discriminator_{domain}'] = loss
    self.disc_adam.step()
    return {name: float(term.detach()) for name, term in terms.items()}


def judge(scores: torch.Tensor, real: float, kind: str) -> torch.Tensor:
  """`losses.adversarial_loss`: how far scores are from the verdict."""
  loss = {
    'lsgan': functional.mse_loss,
    'bce': functional.binary_cross_entropy_with_logits,
  }[kind]
  return loss(scores, torch.full_like(scores, real))


def load(network: nn.Module, make_param) -> nn.Module:
  """Gives a network, made on the device 'meta', the parameters of ours.

  Args:
    network: of this module.
    make_param: from a parameter's path in ours, 'block_0/conv_1/kernel', and
      its shape there, [k, k, I, O], to the array.
  """
  params = {}
  for name, parameter in network.named_parameters():
    path = path_of(name, parameter.ndim)
    if parameter.ndim == 4:  # [O, I, k, k]
      shape = tuple(parameter.permute(2, 3, 1, 0).shape)
      array = make_param(path, shape).transpose(3, 2, 0, 1)
    else:
      array = make_param(path, tuple(parameter.shape))
    params[name] = torch.from_numpy(np.ascontiguousarray(array))
  network.load_state_dict(params, assign=True)
  return network.requires_grad_(True)


def path_of(name: str, axes: int) -> str:
  """Ours of a parameter with so many axes: 'block_0/conv_1/kernel'."""
  kind = 'kernel' if axes == 4 else 'scale'  # of a normalisation
  path = name.replace('.', '/').replace('/weight', f'/{kind}')
  # No Python name, which `torch.compile` wants.
  return path.replace('first/', 'in/')


def unload(network: nn.Module, find=lambda parameter: parameter) -> dict:
  """What belongs to the parameters, by their paths in ours and in its layout.

  Args:
    network: of this module.
    find: from a parameter to a tensor of its shape, such as its moment.
  """
  found = {}
  for name, parameter in network.named_parameters():
    array = find(parameter).detach().numpy()
    if array.ndim == 4:
      array = array.transpose(2, 3, 1, 0)
    found[path_of(name, array.ndim)] = array
  return found
