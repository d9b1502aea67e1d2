"""A recipe for two folders: what is decided, and that it can be trained."""

import importlib.util

import numpy as np
import pytest

from cyclegan_jax import checks
from cyclegan_jax import errors
from cyclegan_jax import planner
from cyclegan_jax import proposal

_FACTS = proposal.Facts(
  people=(20, 30),
  slices=(700, 900),
  spacing=0.9,
  apart=3.3,
  plane='axial',
  length=198.0,
  whole=(True, True),
  memory=None,
  devices=1,
  processors=True,
)


def propose(**changes):
  made = proposal.propose(_FACTS._replace(**changes))
  return made.fields, '\n'.join(made.reasons)


def test_whole_heads_on_processors_are_trained_on_crops():
  fields, why = propose()
  # 1.03 x 198 mm is 226.6 pixels of 0.9 mm, 256 the next that halves often.
  assert fields['image_size'] == 256 and fields['data.spacing'] == 0.9
  assert fields['crop_size'] == 128
  assert fields['generator.contrast_look'] == 'place' and 'how high' in why
  assert fields['loss.cycle'] == 3.0
  assert fields['data.intensity_a'] == fields['data.intensity_b'] == 'inside'
  assert fields['num_epochs'] == 3 and fields['decay_epochs'] == 1  # of 900
  assert 'heads are up to 198 mm long' in why and 'by heart' not in why


def test_coarse_scans_are_not_made_finer_and_large_heads_fit():
  fields, _ = propose(spacing=2.04)
  assert fields['data.spacing'] == 2.04 and fields['image_size'] == 128
  assert 'crop_size' not in fields  # as large as a crop already
  for length in (20.0, 198.0, 700.0):
    fields, _ = propose(length=length, spacing=0.001 * length)
    assert fields['image_size'] == 256
    assert 1 <= fields['image_size'] * fields['data.spacing'] / length < 1.1


def test_an_accelerator_sees_whole_slices_if_it_has_room():
  fields, _ = propose(processors=False, memory=16 * 2**30, devices=4)
  assert fields['batch_size'] == 4 and 'crop_size' not in fields
  assert 'generator.features' not in fields  # the default's, the full width
  # 40,000 steps of 4 of the 900 slices
  assert fields['num_epochs'] == round(40000 / 225)
  small, why = propose(processors=False, memory=2 * 2**30)
  assert small['crop_size'] == 128 and 'a small accelerator' in why


def test_few_whole_heads_teach_the_networks_little():
  assert 'generator.reach' not in propose()[0]
  fields, why = propose(people=(9, 2))
  assert fields['generator.reach'] == 0.08 and 'stay near' in why
  assert fields['generator.contrast_learns'] and 'maps learn' in why
  assert (
    'generator.reach' not in propose(people=(9, 2), whole=(False, False))[0]
  )


def test_brains_alone_and_few_people_are_told():
  fields, why = propose(whole=(False, False), people=(2, 9))
  assert fields['loss.cycle'] == 1.0 and 'brains alone' in why
  assert 'generator.contrast_learns' not in fields
  assert 'data.intensity_a' not in fields
  assert '2 and 9 people' in why
  _, why = propose(whole=(True, False))
  assert 'strip the skull of both, or of none' in why


def test_pictures_keep_their_size_up_to_256():
  fields, why = propose(spacing=None, apart=None, length=200.0)
  assert fields['image_size'] == 224 and 'data.spacing' not in fields
  assert 'no millimetres' in why
  # Pictures of heads go by depth, where a map is better left as it is.
  assert 'generator.contrast_learns' not in fields
  assert propose(spacing=None, length=1000.0)[0]['image_size'] == 256


def load(path):
  spec = importlib.util.spec_from_file_location('recipe', path)
  recipe = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(recipe)
  return recipe.get_config()


def test_what_is_written_can_be_trained(
  scan_folder, tmp_path, monkeypatch, capsys
):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  target = tmp_path / 'mine.py'
  sources = [str(scan_folder / '*' / f'{name}.nii.gz') for name in ('T1', 'T2')]
  planner.plan(*sources, str(target), domains=['T1w', "b's"])
  said = capsys.readouterr().out
  assert f'--config={target}' in said and '3 and 3 people' in said
  config = load(target)
  assert config.domains == ('T1w', "b's")
  assert (config.data.train_a, config.data.train_b) == tuple(sources)
  assert config.data.planes == ('axial',) and config.image_size == 64
  checks.check_training(config, str(tmp_path / 'run'))
  text = target.read_text()
  assert '3 and 3 people' in text and max(map(len, text.splitlines())) < 200


def test_pictures_can_be_planned_for(slice_folders, tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  target = tmp_path / 'mine.py'
  planner.plan(
    *(str(slice_folders / name) for name in ('train_a', 'train_b')), str(target)
  )
  config = load(target)
  assert config.image_size == 64  # of 32: the least that is proposed
  checks.check_training(config, str(tmp_path / 'run'))


def test_stacks_without_millimetres_are_planned_as_pictures(
  make_head, tmp_path, monkeypatch, capsys
):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  for number, folder in enumerate(('a', 'b')):
    (tmp_path / folder).mkdir()
    stack = make_head((22, 26, 12), seed=number).transpose(2, 1, 0)
    np.save(tmp_path / folder / 'anna.npy', stack.astype(np.float32))
  planner.plan(
    str(tmp_path / 'a'), str(tmp_path / 'b'), str(tmp_path / 'mine.py')
  )
  assert 'no millimetres' in capsys.readouterr().out
  assert load(tmp_path / 'mine.py').data.planes == ('axial',)


def test_a_folder_of_nothing_writes_nothing(scan_folder, tmp_path):
  (tmp_path / 'empty').mkdir()
  with pytest.raises(errors.UserError, match='--source_b=.*empty'):
    planner.plan(
      str(scan_folder), str(tmp_path / 'empty'), str(tmp_path / 'mine.py')
    )
  assert not (tmp_path / 'mine.py').exists()
