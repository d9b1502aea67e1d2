"""Weights are read of whatever PyTorch has saved, and nothing is run."""

import os
import sys
import zipfile

import numpy as np
import pytest
from safetensors import numpy as safetensors

torch = pytest.importorskip('torch', reason='PyTorch is not installed')

import torch_reference

from cyclegan_jax import errors
from cyclegan_jax.interop import recognise
from cyclegan_jax.interop import weights


@pytest.fixture(scope='module')
def state():
  torch.manual_seed(0)
  return torch_reference.resnet(1, 2, 1).state_dict()


def add_prefix(state, prefix):
  return {prefix + name: x for name, x in state.items()}


def check_same(found, state, tolerance=0.0):
  assert found.keys() == state.keys()
  for name, array in found.items():
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, state[name].numpy(), atol=tolerance)


@pytest.mark.parametrize(
  'wrap',
  [
    lambda state: state,
    lambda state: add_prefix(state, 'module.'),
    lambda state: add_prefix(state, '_orig_mod.module.module.'),
    lambda state: {'epoch': 3, 'state_dict': add_prefix(state, 'module.')},
    lambda state: {'model': state, 'optimizer': {'state': {}, 'lr': 1e-3}},
  ],
)
def test_what_wrappers_add_is_taken_off(wrap, state, tmp_path):
  torch.save(wrap(state), tmp_path / 'g.pth')
  ((name, found),) = weights.read(tmp_path / 'g.pth').items()
  assert name == ''
  check_same(found, state)


@pytest.mark.parametrize(
  'wrap',
  [
    lambda states: states,
    lambda states: {'nets': states, 'epoch': 1},
    lambda states: {
      f'{name}.{key}': x
      for name, own in states.items()
      for key, x in own.items()
    },
  ],
)
def test_networks_of_one_file_are_told_apart(wrap, state, tmp_path):
  names = ('netG_A', 'netG_B', 'netD_A')
  states = {
    name: {key: x + i for key, x in state.items()}
    for i, name in enumerate(names)
  }
  torch.save(wrap(states), tmp_path / 'all.pt')
  found = weights.read(tmp_path / 'all.pt')
  assert list(found) == list(names)
  for name in names:
    check_same(found[name], states[name])


@pytest.mark.parametrize(
  'dtype,tolerance', [('bfloat16', 1e-3), ('float16', 1e-4), ('float64', 0)]
)
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_numbers_of_any_width_are_read(
  dtype, tolerance, suffix, state, tmp_path
):
  from safetensors import torch as torch_safetensors

  path = tmp_path / f'g{suffix}'
  narrow = {name: x.to(getattr(torch, dtype)) for name, x in state.items()}
  save = torch_safetensors.save_file if suffix != '.pth' else torch.save
  save(narrow, path)
  ((_, found),) = weights.read(path).items()
  check_same(found, state, tolerance)


def test_statistics_of_old_instance_norms_are_dropped(state):
  """They have no scale and offset beside them, as batch norms have."""
  tensors = {name: x.numpy() for name, x in state.items()}
  old = {
    f'model.{place}.{name}': np.ones(4, np.float32)
    for place in (2, 5, 8)
    for name in ('running_mean', 'running_var')
  } | {'model.2.num_batches_tracked': np.array(7)}
  assert recognise.recognise(tensors | old, 'it')[1].keys() == tensors.keys()


class _Command:
  """A pickle of it runs a command where it is loaded carelessly."""

  def __init__(self, marker):
    self._marker = marker

  def __reduce__(self):
    return os.system, (f'touch {self._marker}',)


def test_a_program_in_a_file_is_not_run(state, tmp_path):
  marker = tmp_path / 'it was run'
  torch.save(
    {'state_dict': state, 'more': _Command(marker)}, tmp_path / 'g.pth'
  )
  with pytest.raises(
    errors.UserError, match=r'^.*g.pth holds more than weights: posix.system'
  ) as caught:
    weights.read(tmp_path / 'g.pth')
  assert '\n' not in str(caught.value) and not marker.exists()


def test_a_whole_network_is_refused(tmp_path):
  torch.save(torch_reference.resnet(1, 2, 1), tmp_path / 'g.pth')
  with pytest.raises(errors.UserError, match='save what state_dict.* alone'):
    weights.read(tmp_path / 'g.pth')


def write_zip(path):
  with zipfile.ZipFile(path, 'w') as zf:
    zf.writestr('hello.txt', 'hello')


def write_expanded(path):
  torch.save({'model.0.weight': torch.zeros(1).expand(10**12)}, path)


def write_truncated(path):
  torch.save(torch_reference.resnet(1, 2, 1).state_dict(), path)
  path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
  'name,write,message',
  [
    ('zip.pth', write_zip, 'no weights that can be read'),
    ('cut.pth', write_truncated, 'no weights that can be read'),
    ('vast.pth', write_expanded, 'no weights that can be read'),
    ('empty.pth', lambda path: path.write_bytes(b''), 'no weights that can'),
    ('text.pt', lambda path: path.write_text('hello'), 'no weights that can'),
    ('noise.safetensors', write_zip, 'no weights that can be read'),
    ('none.pth', lambda path: torch.save({'epoch': 3}, path), 'of a network'),
    ('gone.pth', lambda path: None, 'cannot be read: No such file'),
  ],
)
def test_what_is_no_file_of_weights_is_refused(name, write, message, tmp_path):
  write(tmp_path / name)
  with pytest.raises(errors.UserError, match=f'{name} .*{message}') as caught:
    weights.read(tmp_path / name)
  assert '\n' not in str(caught.value)


def test_a_name_may_mislead(state, tmp_path):
  """What a file begins with tells how it is read."""
  torch.save(state, tmp_path / 'g.safetensors')
  arrays = {name: x.numpy() for name, x in state.items()}
  safetensors.save_file(arrays, tmp_path / 'g.pth')
  safetensors.save_file(arrays, tmp_path / 'g.SafeTensors')
  for name in ('g.safetensors', 'g.pth', 'g.SafeTensors'):
    ((_, found),) = weights.read(tmp_path / name).items()
    check_same(found, state)


def test_networks_beside_the_named_ones_are_of_no_concern(state, tmp_path):
  others = {'vgg': state, 'netG_A_ema': state}
  torch.save({'netG_A': state, **others}, tmp_path / 'all.pth')
  ((name, found),) = weights.read(tmp_path / 'all.pth').items()
  assert name == 'netG_A'
  check_same(found, state)


def test_an_older_torch_is_refused(monkeypatch, tmp_path):
  torch.save({}, tmp_path / 'g.pth')
  monkeypatch.setattr(torch, '__version__', '2.5.1+cpu')
  with pytest.raises(errors.UserError, match='not read with torch 2.5.1'):
    weights.read(tmp_path / 'g.pth')


def test_without_torch_it_is_told_what_to_install(monkeypatch, tmp_path):
  (tmp_path / 'g.pth').touch()
  monkeypatch.setitem(sys.modules, 'torch', None)
  with pytest.raises(errors.UserError, match=r'pip install "cyclegan_jax\[tor'):
    weights.read(tmp_path / 'g.pth')
  safetensors.save_file(
    {'model.weight': np.ones(1, np.float32)}, tmp_path / 'g.safetensors'
  )
  assert list(weights.read(tmp_path / 'g.safetensors')) == ['']


@pytest.mark.parametrize(
  'change,message',
  [
    ({'model.99.weight': np.ones(2, np.float32)}, 'it has model.99.weight;'),
    ({'model.18.bias': None}, 'it lacks model.18.bias;'),
    (
      {'model.11.weight': np.ones((8, 4, 4, 4), np.float32)},
      'model.11.weight is 8 x 4 x 4 x 4, where 8 x 4 x 3 x 3 was expected',
    ),
    (
      {'model.18.weight': np.ones((3, 2, 7, 7), np.float32)},
      'takes images of 1 channels and makes 3',
    ),
    ({'model.4.weight': np.ones((4, 2, 3, 3), np.int32)}, 'whole numbers, int'),
    (
      {'model.10.conv_block.0.weight': np.ones((8, 8, 3, 3), np.float32)},
      'pads with zeros',
    ),
    (
      {
        f'model.2.{name}': np.ones(2, np.float32) for name in ('weight', 'bias')
      },
      'an instance normalisation that learns',
    ),
    ({'model.1.bias': None}, 'it has no normalisation'),
    (
      {'model.18.bias': np.full(1, np.nan, np.float32)},
      'numbers that are infinite or none',
    ),
  ],
)
def test_anything_else_than_the_reference_has_is_refused(
  change, message, state
):
  tensors = {name: x.numpy() for name, x in state.items()} | change
  tensors = {name: x for name, x in tensors.items() if x is not None}
  with pytest.raises(errors.UserError, match=f'^here .*{message}') as caught:
    recognise.recognise(tensors, 'here')
  assert '\n' not in str(caught.value)


def test_another_kind_of_model_is_refused():
  tensors = {'embed.weight': np.ones((4, 4), np.float32)}
  with pytest.raises(errors.UserError, match='embed.weight; read are the Res'):
    recognise.recognise(tensors, 'here')
