"""Our networks make of an image what PyTorch's make of it, both ways."""

import pathlib

import jax
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed')

import torch_reference

from cyclegan_jax import errors
from cyclegan_jax.contrast import layer
from cyclegan_jax.interop import counterpart
from cyclegan_jax.interop import layout
from cyclegan_jax.interop import recognise
from cyclegan_jax.interop import safetensors_file
from cyclegan_jax.interop import torch_file
from cyclegan_jax.interop import weights
from cyclegan_jax.networks import discriminators
from cyclegan_jax.networks import generators

_GENERATORS = {'resnet': generators.ResNet, 'unet': generators.UNet}
_DEPTHS = {'resnet': 'blocks', 'unet': 'levels'}


def make(kind, *arguments):
  """A network of PyTorch in use, with signals that reach its end."""
  torch.manual_seed(0)
  network = getattr(torch_reference, kind)(*arguments).eval()
  with torch.no_grad():
    for module in network.modules():
      if isinstance(module, torch.nn.BatchNorm2d):
        module.running_mean.normal_(0, 0.02)
        module.running_var.uniform_(0.001, 0.01)
  return network


def read(network):
  """What is recognised of its state, and our parameters."""
  tensors = {name: x.numpy() for name, x in network.state_dict().items()}
  found, own = recognise.recognise(tensors, 'it')
  return found, layout.to_params(found, own)


def make_ours(found):
  if found.kind == 'patches':
    return discriminators.PatchDiscriminator(
      features=found.features, layers=found.depth
    )
  return _GENERATORS[found.kind](
    channels=found.channels,
    features=found.features,
    norm='folded' if found.norm == 'batch' else 'instance',
    dropout=0.5 * found.dropout,
    **{_DEPTHS[found.kind]: found.depth},
  )


def run_theirs(network, images):
  with torch.no_grad():
    made = network(torch.from_numpy(images.transpose(0, 3, 1, 2)))
  return made.numpy().transpose(0, 2, 3, 1)


def draw(side, channels):
  rng = np.random.default_rng(1)
  return rng.uniform(-1, 1, (1, side, side, channels)).astype(np.float32)


@pytest.mark.parametrize(
  'side,kind,arguments',
  [
    (64, 'resnet', (1, 4, 9)),
    (32, 'resnet', (3, 4, 6, 'batch')),
    (32, 'resnet', (1, 4, 2, 'instance', True)),
    (32, 'resnet', (1, 4, 2, 'batch', True)),
    (64, 'unet', (1, 4, 5, 'batch', True)),
    (128, 'unet', (3, 2, 7, 'instance', True)),
    (256, 'unet', (1, 2, 8)),
    (64, 'discriminator', (3, 4, 3)),
    (32, 'discriminator', (1, 4, 2)),
  ],
)
def test_an_imported_network_is_the_same_map(side, kind, arguments):
  network = make(kind, *arguments)
  found, params = read(network)
  channels, features, depth, *rest = arguments
  assert (found.channels, found.features, found.depth) == arguments[:3]
  assert found.norm == (rest[0] if rest else 'instance')
  assert found.dropout == (kind == 'resnet' and len(rest) == 2)
  images = draw(side, channels)
  theirs = run_theirs(network, images)
  ours = jax.jit(make_ours(found).apply)({'params': params}, images)
  assert theirs.std() > 0.01
  np.testing.assert_allclose(ours, theirs, atol=1e-4 * min(1, theirs.std()))


def test_biases_that_a_normalisation_cancels_are_dropped_and_zeros_written():
  network = make('resnet', 1, 4, 1)
  state = network.state_dict()
  assert state['model.4.bias'].abs().min() > 0
  found, params = read(network)
  assert set(params['down_1']) == {'kernel'}
  assert set(params['out']) == {'kernel', 'bias'}
  again = layout.from_params(found, params)
  assert list(again) == list(state)
  for name, array in again.items():
    inert = name.endswith('.bias') and name != 'model.18.bias'
    expected = np.zeros_like(array) if inert else state[name].numpy()
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
  'module,kind,arguments',
  [
    (
      generators.ResNet(features=4, blocks=2, dropout=0.5),
      'resnet',
      (1, 4, 2, 'instance', True),
    ),
    (generators.ResNet(features=4, blocks=6), 'resnet', (1, 4, 6)),
    (
      generators.UNet(channels=3, features=2, levels=5, dropout=0.5),
      'unet',
      (3, 2, 5, 'instance', True),
    ),
  ],
)
def test_what_is_written_loads_there_and_makes_the_same(
  module, kind, arguments, tmp_path
):
  images = draw(32, arguments[0])
  params = jax.jit(module.init)(jax.random.key(0), images)['params']
  network = getattr(torch_reference, kind)(*arguments).eval()
  torch_file.write(tmp_path / 'g.pth', module, params, {})
  state = torch.load(tmp_path / 'g.pth', weights_only=True)
  network.load_state_dict(state, strict=True)
  ours = jax.jit(module.apply)({'params': params}, images)
  np.testing.assert_allclose(run_theirs(network, images), ours, atol=1e-5)
  again = torch_file.load(tmp_path / 'g.pth', module)(images)
  np.testing.assert_array_equal(again, ours)

  path = tmp_path / 'g.safetensors'
  safetensors_file.write(path, module, params, {'run': 'mine'})
  ((_, tensors),) = weights.read(path).items()
  assert tensors.keys() == state.keys()
  for name, array in tensors.items():
    np.testing.assert_array_equal(array, state[name].numpy())
  assert b'"run":"mine"' in path.read_bytes()


def test_options_are_those_of_the_other_program():
  assert torch_file.describe(generators.ResNet(blocks=9)) == {
    'options': '--netG resnet_9blocks --ngf 64 --norm instance --input_nc 1 '
    '--output_nc 1 --no_dropout'
  }
  unet = generators.UNet(channels=3, dropout=0.5)
  assert counterpart.describe_options(unet).endswith('--output_nc 3')


@pytest.mark.parametrize(
  'module,why',
  [
    (
      generators.ResNet(start=layer.ContrastLayer(4.0)),
      'starts from a contrast map',
    ),
    (generators.ResNet(norm='folded'), 'batch normalisations folded'),
    (generators.UNet(leak=0.3, skip_leak=0.3), 'leak=0.3 and has skip_leak='),
    (generators.UNet(affine=True), 'affine'),
    (generators.UNet(norm_innermost=True), 'normalises its innermost'),
    (generators.UNet(levels=4), 'levels=4'),
  ],
)
def test_what_has_no_counterpart_is_refused(module, why):
  with pytest.raises(errors.UserError, match=f'{why}.*onnx and .*stablehlo'):
    counterpart.describe_file(module)
  with pytest.raises(errors.UserError, match=why):
    torch_file.write(pathlib.Path('no.pth'), module, {}, {})
