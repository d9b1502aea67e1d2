"""The model that lies in the repository: it is whole, small and translates."""

import pathlib
import zipfile

import numpy as np
import pytest

from configs import whole_heads
from cyclegan_jax import build
from cyclegan_jax import errors
from cyclegan_jax import predecessor
from cyclegan_jax import restore
from cyclegan_jax.data import simulated_volume
from cyclegan_jax.inference import translation
from cyclegan_jax.mri import head
from cyclegan_jax.mri import volume as volume_lib

_FOLDER = pathlib.Path(__file__).parent.parent / 'models'
_MODEL = _FOLDER / 'whole_heads.zip'


@pytest.fixture(scope='module')
def person():
  """A simulated head, every 6 mm: volumes of both contrasts, in [0, 1]."""
  _, images, (step, pixel, _) = simulated_volume.simulate(
    image_size=112, seed=0
  )
  # Columns go to the patient's left, rows to the back.
  affine = np.diag([-pixel, -pixel, 3 * step, 1.0])
  return {
    domain: volume_lib.Volume(np.transpose(each[::3], (2, 1, 0)), affine)
    for domain, each in images.items()
  }


def test_its_page_is_its_card_and_names_data_and_licence():
  card = (_FOLDER / 'README.md').read_text(encoding='utf-8')
  with zipfile.ZipFile(_MODEL) as zf:
    assert zf.read('MODEL_CARD.md').decode() == card
  assert 'CC-BY' in card and 'Lesjak' in card and 'not for diagnosis' in card
  assert _MODEL.stat().st_size < 10e6


@pytest.mark.parametrize('direction', ['ab', 'ba'])
def test_it_translates_a_head_that_it_does_not_know(direction, person):
  translator = restore.load_translators(_MODEL, (direction,))[direction]
  source, truth = (person[domain] for domain in direction)
  made = translation.translate_volume(
    translator.generate,
    source,
    batch_size=1,
    settings=translator.settings[0],
    multiple=translator.multiple,
    channels=translator.channels,
  )
  stacks = [np.moveaxis(x.voxels, 2, 0) for x in (made, source, truth)]
  found, given, wanted = (x[head.find_heads(stacks[2])] for x in stacks)
  kept, reached = (np.corrcoef(x, wanted)[0, 1] for x in (given, found))
  assert reached > max(kept, 0) + 0.3


def test_a_run_can_begin_as_it_and_leave_its_maps(tmp_path):
  config = whole_heads.get_config()
  config.start_from = str(_MODEL)
  config.generator.update(features=24, reach=0.0)
  generator = build.networks(config)['generator']
  predecessor.check(config, tmp_path / 'new', generator)
  config.generator.blocks = 5
  generator = build.networks(config)['generator']
  with pytest.raises(errors.UserError, match=r'blocks \(6 there, 5 now\)'):
    predecessor.check(config, tmp_path / 'new', generator)
