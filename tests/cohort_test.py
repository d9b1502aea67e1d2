"""Many scans, several processes, any of them killed at any moment."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from cyclegan_jax import errors
from cyclegan_jax import translate
from cyclegan_jax.inference import plan
from cyclegan_jax.inference import records
from cyclegan_jax.inference import translation
from cyclegan_jax.mri import scans
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dispatch

_ROOT = pathlib.Path(__file__).parent.parent
_BROKEN = (5, 30, 44)

# launch.py, killed as kill -9 does at the n-th time that it comes to a place.
_KILLED = """
import os, runpy, signal, sys
from cyclegan_jax.mri.formats import nifti
place, left = sys.argv[1], int(sys.argv[2])
sys.argv[:3] = ['launch.py']
write, replace = nifti.write, os.replace
def come():
  global left
  left -= 1
  return not left
def half(path, *rest):
  write(path, *rest)
  if come():
    os.truncate(path, path.stat().st_size // 2)
    os.kill(os.getpid(), signal.SIGKILL)
def name(*paths):
  if come():
    os.kill(os.getpid(), signal.SIGKILL)
  replace(*paths)
if place == 'writing':
  nifti.write = half
else:
  os.replace = name
runpy.run_path('launch.py', run_name='__main__')
"""
_SLURM = dict(ID='1', MIN='0', MAX='1', COUNT='2', STEP='1')


def run(trained, source, target, **changes):
  arguments = dict(direction='ab', source=str(source), target=str(target))
  translate.translate(str(trained), **arguments | changes)


def look(path):
  """What lies where the one scan of a folder or file is translated to."""
  found = scans.find_scans(path['source'])
  (job,) = plan.plan_jobs(found, str(path['source']), str(path['target']))
  return records.look(job)


@pytest.fixture(scope='module')
def cohort(tmp_path_factory, make_head, save_nifti):
  """Sixty scans of thirty people, three of them broken."""
  root = tmp_path_factory.mktemp('cohort')
  for number in range(60):
    path = root / f'sub-{number // 2:02d}' / f'ses-{number % 2}_T1.nii.gz'
    save_nifti(path, make_head((16, 16, 6), seed=number % 3))
    if number in _BROKEN:
      path.write_text('no voxels')
  return root


def list_outputs(target):
  """Which file, written when, each output is."""
  return {
    path: (path.stat().st_ino, path.stat().st_mtime_ns)
    for path in target.rglob('*.nii.gz')
    if '.partial-' not in str(path)
  }


def test_sixty_scans_two_shares_killed_twice(
  trained, cohort, environment, tmp_path, capsys
):
  """57 outputs, each whole, none made twice, three failures named."""
  target = tmp_path / 'out'

  def start(index, *kill):
    slurm = {f'SLURM_ARRAY_TASK_{k}': v for k, v in _SLURM.items()}
    return subprocess.Popen(
      [
        *(
          sys.executable,
          *(('-c', _KILLED, *kill) if kill else ('launch.py',)),
        ),
        *('--mode=translate', f'--workdir={trained}', '--direction=ab'),
        *(f'--source={cohort}', f'--target={target}'),
        *(['--shard=0/2'] if index == 0 else []),
      ],
      cwd=_ROOT,
      env=environment(OMP_NUM_THREADS='1', **(slurm if index == 1 else {})),
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  def finish(*processes):
    return [(*each.communicate(), each.returncode) for each in processes]

  before = {}
  for kills in [('writing', '7'), ('writing', '9')], [('x', '14'), ('x', '15')]:
    ends = finish(*(start(i, *kill) for i, kill in enumerate(kills)))
    assert [code for _, _, code in ends] == [-9, -9], ends
    outputs = list_outputs(target)
    assert before.items() < outputs.items() and len(outputs) < 40
    before = outputs
  assert list(target.rglob('.partial-*'))

  ends = finish(start(0), start(1))
  outputs = list_outputs(target)
  assert before.items() < outputs.items()
  assert len(outputs) == 57
  for path in outputs:
    assert np.isfinite(nib.load(path).get_fdata()).all()
    sidecar = json.loads(
      path.with_name(path.name.replace('.nii.gz', '.json')).read_text()
    )
    assert sidecar['complete']['bytes'] == path.stat().st_size
  assert not list(target.rglob('.partial-*'))
  assert len(list(target.rglob('*.json'))) == 57

  assert [code for _, _, code in ends] == [1, 1], ends
  assert 'share 0/2 (--shard): 30 of 60 scans\n' in ends[0][0]
  assert (
    'share 1/2 (SLURM array task 1): 30 of 60 scans; --shard=' in ends[1][0]
  )
  made, named = 0, []
  for index, (stdout, stderr, _) in enumerate(ends):
    listed = (target / f'translation_failures-{index}-of-2.txt').read_text()
    named += listed.splitlines()
    last = stdout.splitlines()[-1]
    assert last.endswith(f', {len(listed.splitlines())} failed, 0 left')
    made += int(last.split()[0])
    assert listed.splitlines()[0] in stderr.splitlines()[-1]
  assert made == len(outputs) - len(before)
  broken = [cohort / f'sub-{n // 2:02d}' / f'ses-{n % 2}_T1' for n in _BROKEN]
  assert len(named) == 3
  for path, line in zip(broken, sorted(named), strict=True):
    assert line.startswith(f'{path}.nii.gz cannot be read: it is not')

  # Another division has another list, and whoever is mended is on none.
  with pytest.raises(errors.Incomplete, match='3 of 3 .*failures.txt lists'):
    run(trained, cohort, target)
  assert '57 exist already' in capsys.readouterr().out
  (listed,) = target.glob('translation_failures*')
  assert sorted(listed.read_text().splitlines()) == sorted(named)
  mended = shutil.copytree(cohort, tmp_path / 'mended')
  for path in broken:
    shutil.copy(
      cohort / 'sub-00' / 'ses-0_T1.nii.gz',
      mended / path.relative_to(cohort).with_name(f'{path.name}.nii.gz'),
    )
  run(trained, mended, target)
  assert capsys.readouterr().out.endswith('\n3 translated, 0 failed, 0 left\n')
  assert not list(target.glob('translation_failures*'))
  assert outputs.items() < list_outputs(target).items()


@pytest.mark.parametrize('overwrite', [False, True])
@pytest.mark.parametrize('moment', ['a preview', 'a sidecar', 'the scan'])
def test_whenever_it_ends_no_part_counts_as_whole(
  trained, cohort, tmp_path, monkeypatch, overwrite, moment
):
  """As a file is about to get its name."""
  source = cohort / 'sub-00' / 'ses-0_T1.nii.gz'
  paths = {'source': source, 'target': tmp_path / 'x.nii.gz'}
  names = {'a preview': 'x_preview.png', 'a sidecar': 'x.json'}
  sidecar, replace = tmp_path / 'x.json', os.replace
  if overwrite:
    run(trained, **paths)
    old = [each.stat().st_ino for each in (sidecar, paths['target'])]

  def stop(partial, path):
    if pathlib.Path(path).name == names.get(moment, 'x.nii.gz'):
      raise KeyboardInterrupt
    replace(partial, path)

  with monkeypatch.context() as patch:
    patch.setattr(os, 'replace', stop)
    with pytest.raises(KeyboardInterrupt):
      run(trained, **paths, overwrite=overwrite, preview=True)
  output = look(paths)
  assert not output.short
  assert output.taken == (overwrite and moment != 'the scan')
  if output.taken:  # the old one, and what was said of that
    assert old == [each.stat().st_ino for each in (sidecar, paths['target'])]
  run(trained, **paths, overwrite=output.taken)
  assert look(paths).taken


def test_a_series_killed_at_a_slice_is_none(
  trained, make_head, tmp_path, environment
):
  like = volume_lib.Volume(make_head((16, 16, 8)), np.eye(4))
  np.save(tmp_path / 'head.npy', like.voxels)
  code = """
import os, signal, sys
import numpy as np
from cyclegan_jax.mri import volume
from cyclegan_jax.mri.formats import dicom_writer, dispatch
import pathlib
write = dicom_writer._write_slice
def die(*args):
  write(*args)
  if len(list(args[0].parent.iterdir())) == 5:
    os.kill(os.getpid(), signal.SIGKILL)
dicom_writer._write_slice = die
voxels = np.load(sys.argv[1])
dispatch.write_scan(
  pathlib.Path(sys.argv[2]), voxels, volume.Volume(voxels, np.eye(4)),
  volume.Provenance('x', 'y', {}),
)
"""
  paths = {'source': tmp_path / 'in', 'target': tmp_path / 'out' / 'anna'}
  dispatch.write_scan(
    paths['source'], like.voxels, like, volume_lib.Provenance('x', 'y', {})
  )
  result = subprocess.run(
    [sys.executable, '-c', code, tmp_path / 'head.npy', paths['target']],
    cwd=_ROOT,
    env=environment(),
    check=False,
  )
  assert result.returncode == -9
  assert len(list((tmp_path / 'out').rglob('*.dcm'))) == 5
  assert not paths['target'].exists() and not look(paths).taken
  run(trained, **paths)
  assert len(list(paths['target'].glob('*.dcm'))) == 8
  assert sorted(each.name for each in (tmp_path / 'out').iterdir()) == [
    'anna',
    'anna.json',
  ]
  assert look(paths).taken
  # A disk that has lost a slice, or the end of one.
  (paths['target'] / '0003.dcm').unlink()
  assert look(paths).short
  run(trained, **paths)
  assert not look(paths).short
  os.truncate(paths['target'] / '0003.dcm', 100)
  assert look(paths).short


@pytest.fixture
def made(trained, cohort, tmp_path):
  """Two scans and their translations."""
  source = tmp_path / 'in'
  shutil.copytree(cohort / 'sub-00', source)
  run(trained, source, tmp_path / 'out')
  return source, tmp_path / 'out', tmp_path / 'out' / 'ses-0_T1.nii.gz'


@pytest.mark.parametrize('size', [0, 100])
def test_what_a_disk_has_lost_is_made_again(trained, made, capsys, size):
  source, target, path = made
  whole = nib.load(path).get_fdata()
  kept = (target / 'ses-1_T1.nii.gz').stat().st_mtime_ns
  os.truncate(path, size)
  capsys.readouterr()
  run(trained, source, target)
  said = capsys.readouterr().out
  assert (f'{path} is less than was written, and is made again' in said) == (
    size > 0  # of an empty file there is nothing to say
  )
  assert '1 exist already' in said
  np.testing.assert_array_equal(nib.load(path).get_fdata(), whole)
  assert (target / 'ses-1_T1.nii.gz').stat().st_mtime_ns == kept


def test_outputs_of_older_versions_are_left_as_they_are(trained, made, capsys):
  source, target, path = made
  path.write_text('of version 0.1.0')
  (target / 'ses-0_T1.json').write_text('{"synthetic": true, "checkpoint": 3}')
  (target / 'ses-1_T1.json').unlink()
  capsys.readouterr()
  run(trained, source, target)
  said = capsys.readouterr().out
  assert '2 exist already' in said and '0 translated' in said
  assert 'among them are 1 of another run, checkpoint or direction' in said
  assert path.read_text() == 'of version 0.1.0'


def test_what_would_come_out_differently_is_counted(
  trained, made, capsys, save_nifti, make_head
):
  source, target, _ = made
  capsys.readouterr()
  run(trained, source, target)
  assert 'among them' not in capsys.readouterr().out
  save_nifti(source / 'ses-1_T1.nii.gz', make_head((16, 16, 7)))
  run(trained, source, target)
  assert 'are 1 of a source whose size has changed' in capsys.readouterr().out
  other = shutil.copytree(trained, source.parent / 'other')
  run(other, source, target)
  assert 'are 2 of another run, checkpoint' in capsys.readouterr().out


def test_two_processes_with_one_share_do_not_meet(
  trained, cohort, tmp_path, monkeypatch, capsys
):
  """The other one has made all while this one was at its first."""
  real, target = translation.translate_volume, tmp_path / 'out'

  def overtaken(*args, **kwargs):
    monkeypatch.setattr(translation, 'translate_volume', real)
    run(trained, cohort / 'sub-00', target)
    return real(*args, **kwargs)

  monkeypatch.setattr(translation, 'translate_volume', overtaken)
  run(trained, cohort / 'sub-00', target)
  said = capsys.readouterr().out
  assert '\n2 translated, 0 failed, 0 left\n' in said
  assert said.endswith(
    '\n0 translated, 2 by another process, 0 failed, 0 left\n'
  )
  assert len(list_outputs(target)) == 2


def test_series_put_at_once_do_not_mix(make_head, tmp_path):
  like = volume_lib.Volume(make_head((8, 8, 6)), np.eye(4))
  provenance = volume_lib.Provenance('x', 'y', {})
  told = []

  def write(voxels, finish):
    dispatch.write_scan(
      tmp_path / 'anna', voxels, like, provenance, finish=finish
    )

  def other(partial):
    told.append('first')
    if len(told) == 1:  # right before the first gets its name
      write(like.voxels[:, :, :4], lambda partial: told.append('second'))

  write(like.voxels, other)
  assert told == ['first', 'second', 'first']
  assert len(list((tmp_path / 'anna').iterdir())) == 6
  assert [each.name for each in tmp_path.iterdir()] == ['anna']


@pytest.mark.parametrize('kind', ['file', 'folder'])
def test_a_scan_replaces_nothing_of_another_kind(make_head, tmp_path, kind):
  like = volume_lib.Volume(make_head((8, 8, 6)), np.eye(4))
  provenance = volume_lib.Provenance('x', 'y', {})
  path = tmp_path / ('anna' if kind == 'file' else 'anna.nii')
  if kind == 'file':
    path.write_text('notes')
  else:
    path.mkdir()
  with pytest.raises(errors.UserError, match=f'is a {kind}; name another'):
    dispatch.write_scan(path, like.voxels, like, provenance)
  assert path.exists()


def test_a_task_that_names_one_scan_translates_it(
  trained, cohort, tmp_path, monkeypatch
):
  """An array of tasks, each with a scan of its own."""
  for name, value in _SLURM.items():
    monkeypatch.setenv(f'SLURM_ARRAY_TASK_{name}', value)
  for number in range(2):
    name = f'ses-{number}_T1.nii.gz'
    run(trained, cohort / 'sub-01' / name, tmp_path / name)
    assert (tmp_path / name).exists()
