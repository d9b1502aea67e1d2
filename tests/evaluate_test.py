"""Scores of a trained run, against metrics computed here once more."""

import csv
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest
from scipy import ndimage

from cyclegan_jax import errors
from cyclegan_jax import evaluate
from cyclegan_jax.evaluation import scores
from cyclegan_jax.reporting import pictures

_ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture
def workdir(trained, tmp_path):
  shutil.copytree(trained, tmp_path / 'run')
  return tmp_path / 'run'


@pytest.fixture(scope='module')
def held_out(trained):
  """The run's own held-out pair, scored from the command line."""
  result = subprocess.run(
    [sys.executable, 'launch.py', '--mode=evaluate', f'--workdir={trained}'],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  return result.stdout, json.loads((trained / 'evaluation.json').read_text())


def test_both_directions_are_scored_beside_what_needs_no_network(held_out):
  printed, report = held_out
  assert report['paired'] and report['data_range'] == 1.0
  assert 'not for diagnosis' in report['notice']
  for direction in ('ab', 'ba'):
    own = report[direction]
    for metric in ('psnr', 'ssim', 'mae', 'nmi'):
      assert own[metric]['n'] == 1 and np.isfinite(own[metric]['mean'])
      assert own['whole_image'][metric]['n'] == 1
    assert set(own['references']) == set(scores.METHODS) - {'translation'}
    references = own['references']
    # T2 is made from T1 pointwise here, so a pointwise map all but finds it.
    assert references['oracle']['psnr']['mean'] > 25
    assert (
      references['oracle']['psnr']['mean']
      > references['inverted']['psnr']['mean']
      > references['untranslated']['psnr']['mean']
    )
  assert 'T1w to T2w, 1 patient, inside the head' in printed
  for label in scores.METHODS.values():
    assert printed.count(label) >= 2


def test_the_table_of_patients_agrees_with_the_report(held_out, trained):
  _, report = held_out
  with (trained / 'evaluation.csv').open() as file:
    rows = list(csv.DictReader(file))
  assert {row['patient'] for row in rows} == {'carl'}
  (row,) = (
    row
    for row in rows
    if (row['direction'], row['method'], row['region'])
    == ('ab', 'translation', 'head')
  )
  assert float(row['psnr']) == pytest.approx(report['ab']['psnr']['mean'])


def read_difference(pixels):
  """A coloured column as levels from 0 to 255, and the columns beside it.

  Text and scans are gray, and even the darkest colour is not.

  Args:
    pixels: RGB of a picture of `pictures.draw_comparison`.

  Returns:
    Levels of |difference|, and of the truth and the translation at its left.
  """
  coloured = np.ptp(pixels, axis=2) > 0
  where = np.flatnonzero(coloured.any(axis=0))
  where = np.split(where, np.flatnonzero(np.diff(where) > 1) + 1)[0]
  rows = coloured[:, where].all(axis=1)
  step = len(where) + 2  # as wide as the headings allow, and a gap
  truth, fake = (pixels[rows][:, where - n * step, 0] for n in (1, 2))
  # Red, green and blue of matplotlib's magma together, in eighths.
  sums = (4, 112, 220, 295, 357, 409, 483, 583, 696)
  levels = np.linspace(0, 255, len(sums))
  shown = np.interp(pixels[rows][:, where].sum(axis=2), sums, levels)
  return shown, truth, fake


@pytest.mark.parametrize('direction', ['ab', 'ba'])
def test_the_pictures_show_the_difference(held_out, trained, direction):
  """Of the two columns beside it; half the range has the brightest colour."""
  with Image.open(trained / f'evaluation_{direction}.png') as picture:
    pixels = np.asarray(picture.convert('RGB')).astype(int)
  shown, truth, fake = read_difference(pixels)
  assert np.ptp(truth) > 200 and np.ptp(shown) > 200
  expected = np.minimum(2 * np.abs(fake - truth), 255)
  # All are enlarged, so that they differ where the difference changes fast.
  errors = np.abs(shown - expected)
  assert np.median(errors) < 2.5 and np.mean(errors < 6) > 0.75


def save_people(root, save_nifti, heads, affine=None):
  for person, head in heads.items():
    save_nifti(root / person / 'scan.nii.gz', head, affine)
  return str(root)


def test_several_patients_give_an_interval_and_one_who_moved_is_moved_back(
  workdir, make_head, save_nifti, tmp_path, capsys
):
  shape = (48, 56, 40)
  heads = {f'p{i}x': make_head(shape, seed=i) for i in range(3)}
  truths = {p: (head > 0) * (1200 - head) for p, head in heads.items()}
  still = truths['p1x']
  truths['p1x'] = ndimage.shift(still, (4, 0, 0), order=1)
  report = evaluate.evaluate(
    workdir,
    source_a=save_people(tmp_path / 'a', save_nifti, heads),
    source_b=save_people(tmp_path / 'b', save_nifti, truths),
  )
  psnr = report['ab']['psnr']
  assert psnr['n'] == 3 and psnr['low'] <= psnr['mean'] <= psnr['high']
  (note,) = report['notes']
  assert 'p1x/scan.nii.gz shows the head ' in note
  distance = float(note.split('the head ')[1].split(' mm')[0])
  assert distance == pytest.approx(4, abs=0.5)
  assert 'moved back before it is compared' in capsys.readouterr().out
  again = evaluate.evaluate(
    workdir,
    source_a=save_people(tmp_path / 'c', save_nifti, {'p1x': heads['p1x']}),
    source_b=save_people(tmp_path / 'd', save_nifti, {'p1x': still}),
  )
  moved = next(x for x in report['ab']['subjects'] if x['patient'] == 'p1x')
  assert moved['psnr'] == pytest.approx(again['ab']['psnr']['mean'], abs=0.5)


def test_every_patient_is_drawn_in_the_proportions_of_the_scanner(
  workdir, make_head, save_nifti, tmp_path, monkeypatch
):
  drawn = []
  draw = pictures.draw_comparison

  def note(rows, **changes):
    drawn.append(list(changes['pixel_sizes']))
    return draw(rows, **changes)

  monkeypatch.setattr(pictures, 'draw_comparison', note)
  head = make_head((24, 28, 12))
  for domain, voxels in (('a', head), ('b', (head > 0) * (1200 - head))):
    save_people(tmp_path / domain, save_nifti, {'annax': voxels})
    wide = np.diag([2.0, 1, 1, 1])
    save_people(tmp_path / domain, save_nifti, {'bertx': voxels}, wide)
  evaluate.evaluate(
    workdir, source_a=str(tmp_path / 'a'), source_b=str(tmp_path / 'b')
  )
  assert drawn == [[(1, 1), (1, 1), (1, 2), (1, 2)]] * 2


def test_pairs_on_different_grids_are_resampled_with_a_note(
  workdir, make_head, save_nifti, tmp_path
):
  head = make_head((24, 28, 20))
  coarse = head.reshape(24, 28, 10, 2).mean(axis=3)
  affine = np.diag([1.0, 1, 2, 1])
  affine[2, 3] = 0.5
  report = evaluate.evaluate(
    workdir,
    source_a=save_people(tmp_path / 'a', save_nifti, {'anna': head}),
    source_b=save_people(tmp_path / 'b', save_nifti, {'anna': coarse}, affine),
  )
  assert any('another grid' in note for note in report['notes'])


def test_pictures_are_paired_by_name_and_counted_by_patient(
  workdir, slice_folders
):
  report = evaluate.evaluate(
    workdir,
    source_a=str(slice_folders / 'test_a'),
    source_b=str(slice_folders / 'test_b'),
  )
  (record,) = (
    each
    for each in report['ab']['subjects']
    if each['method'] == 'untranslated' and each['region'] == 'whole'
  )
  assert record['slices'] == 2 and record['patient'] == 'carl0'
  first, second = (
    np.stack(
      [
        np.asarray(Image.open(path), float) / 255
        for path in sorted((slice_folders / name).iterdir())
      ]
    )
    for name in ('test_a', 'test_b')
  )
  errors = ((first - second) ** 2).mean(axis=(1, 2))
  assert record['psnr'] == pytest.approx(np.mean(-10 * np.log10(errors)), 1e-4)


def test_without_pairs_only_what_needs_no_truth_is_measured(
  workdir, scan_folder, capsys
):
  report = evaluate.evaluate(
    workdir,
    source_a=str(scan_folder / 'anna' / 'T1.nii.gz'),
    source_b=str(scan_folder / 'bert' / 'T2.nii.gz'),
  )
  assert not report['paired']
  assert 'of these patients were trained on' in report['notes'][0]
  own = report['ab']
  assert own['cycle_error']['mean'] > 0
  untranslated = own['references']['untranslated']  # an image with itself
  assert untranslated['cycle_error']['mean'] == 0
  assert untranslated['edge_agreement']['mean'] == pytest.approx(1, abs=1e-12)
  assert own['edge_agreement']['mean'] < 0.9
  assert {each['direction'] for each in own['subjects']} == {'ab'}
  assert 'hist. distance' in capsys.readouterr().out
  assert not (workdir / 'evaluation_ab.png').exists()


def test_a_run_is_scored_where_its_caches_cannot_be(
  workdir, monkeypatch, change_meta
):
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR')
  (path,) = (workdir / 'checkpoints').iterdir()

  def change(content):
    content['config']['compile_cache'] = '/proc/scratch'
    content['config']['data']['cache'] = '/proc/scratch'

  change_meta(path, change)
  content = json.loads((workdir / 'config.json').read_text())
  change(content)
  (workdir / 'config.json').write_text(json.dumps(content))
  assert evaluate.evaluate(workdir)['paired']


def test_a_checkpoint_does_not_tell_where_the_scans_lie(
  workdir, scan_folder, capsys
):
  """Folders are often called after patients; config.json alone has them."""
  (path,) = (workdir / 'checkpoints').iterdir()
  for part in path.rglob('*'):
    assert part.is_dir() or str(scan_folder).encode() not in part.read_bytes()
  assert evaluate.evaluate(workdir)['paired']
  assert str(scan_folder / 'carl') in capsys.readouterr().out
  (workdir / 'config.json').unlink()
  with pytest.raises(errors.UserError, match='config.json, .*--source_a=DIR'):
    evaluate.evaluate(workdir)
