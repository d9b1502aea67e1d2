"""Which network is which, by what other programs call it."""

import pytest

from cyclegan_jax import errors
from cyclegan_jax.interop import names


@pytest.mark.parametrize(
  'called,ours',
  [
    # The reference's D_A judges what its G_A makes, which is of B.
    (
      ('G_A', 'G_B', 'D_A', 'D_B'),
      ('gen_ab', 'gen_ba', 'disc_b', 'disc_a'),
    ),
    (('netG_A', 'netD_A'), ('gen_ab', 'disc_b')),
    (('net_G_A', 'net_G_B'), ('gen_ab', 'gen_ba')),
    (
      ('netG_A2B', 'netG_B2A', 'netD_A', 'netD_B'),
      ('gen_ab', 'gen_ba', 'disc_a', 'disc_b'),
    ),
    (('G_BA', 'G_AB', 'D_B'), ('gen_ba', 'gen_ab', 'disc_b')),
    (('generator_ab', 'discriminator_a'), ('gen_ab', 'disc_a')),
    (('G', 'D'), ('gen_ab', 'disc_b')),
    (('',), ('gen_ab',)),
    (('G_B',), ('gen_ba',)),
    (('encoder',), ('gen_ab',)),
  ],
)
def test_names_are_of_one_family(called, ours):
  assert names.assign(called) == dict(zip(ours, called, strict=True))


@pytest.mark.parametrize(
  'called,message',
  [
    (('G_A', 'G_AB'), "'G_A' and 'G_AB' are the same network"),
    (('G_A', 'encoder'), "not known what 'encoder' is; save the generators"),
  ],
)
def test_what_cannot_be_told_is_refused(called, message):
  with pytest.raises(ValueError, match=message):
    names.assign(called)


@pytest.mark.parametrize(
  'there,chosen',
  [
    (('latest_net_G_A.pth', '9_net_G_A.pth'),
     {'net_G_A': 'latest_net_G_A.pth'}),
    (
      ('95_net_G_A.pth', '200_net_G_A.pth', '200_net_D_A.pth', '95_net_D_B.pt'),
      {'net_G_A': '200_net_G_A.pth', 'net_D_A': '200_net_D_A.pth'},
    ),
    (('iter_5000_net_G.pth', '1_net_G.pth'), {'net_G': '1_net_G.pth'}),
    # An epoch without one of the generators is none.
    (
      ('5_net_G_A.pth', '5_net_G_B.pth', 'latest_net_G_B.pth'),
      {'net_G_A': '5_net_G_A.pth', 'net_G_B': '5_net_G_B.pth'},
    ),
    (('Latest_net_G_A.PTH', '7_net_G_A.pth'),
     {'net_G_A': 'Latest_net_G_A.PTH'}),
    (('G_AB_90.pt', 'G_AB_100.pt', 'notes.pt'), {'G_AB': 'G_AB_100.pt'}),
    (('netG_A2B.pth', 'netG_A2B.safetensors'),
     {'netG_A2B': 'netG_A2B.safetensors'}),
  ],
)  # fmt: skip
def test_the_newest_epoch_of_a_folder_is_taken(there, chosen, tmp_path):
  for name in there:
    (tmp_path / name).touch()
  found = names.find_files(tmp_path, ('.pth', '.pt', '.safetensors'))
  assert {called: path.name for called, path in found.items()} == chosen


@pytest.mark.parametrize(
  'there,message',
  [
    (('latest_net_G_A.pth', 'net_G_A.pth'), 'latest_net_G_A.pth and .*same ne'),
    (('5_net_G_A.pth', '6_net_G_B.pth'), 'no epoch with all of net_G_A, net_G'),
  ],
)
def test_a_folder_that_does_not_tell_is_refused(there, message, tmp_path):
  for name in there:
    (tmp_path / name).touch()
  with pytest.raises(errors.UserError, match=message):
    names.find_files(tmp_path, ('.pth', '.pt', '.safetensors'))


@pytest.mark.parametrize('there', [(), ('latest_net_D_A.pth', 'model.pth')])
def test_a_folder_without_a_generator_is_refused(there, tmp_path):
  for name in there:
    (tmp_path / name).touch()
  with pytest.raises(errors.UserError, match='holds no generator, such as'):
    names.find_files(tmp_path, ('.pth',))
