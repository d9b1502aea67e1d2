"""What a report says of a run, and that it says no more."""

import base64
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from cyclegan_jax import errors
from cyclegan_jax import report
from cyclegan_jax.evaluation import scores
from cyclegan_jax.pages import card
from cyclegan_jax.pages import page
from cyclegan_jax.pages import run_files
from cyclegan_jax.pages import verdict


def summary(mean, low=None, high=None):
  return {'mean': mean, 'std': None, 'n': 6, 'low': low, 'high': high}


def make_direction(direction, psnr, ssim, patients=6, **references):
  """A direction of an evaluation; references by name, (PSNR, SSIM)."""

  def values(psnr, ssim):
    own = {name: summary(0.25, 0.2, 0.3) for name in scores.PAIRED}
    return own | {
      'psnr': summary(psnr, psnr - 1, psnr + 1),
      'ssim': summary(ssim, ssim - 0.1, ssim + 0.1),
    }

  return values(psnr, ssim) | {
    'references': {name: values(*pair) for name, pair in references.items()},
    'subjects': [
      {
        'patient': f'patient{i}',
        'scan': f'scan{i}',
        'direction': direction,
        'method': 'translation',
        'region': 'head',
        'psnr': psnr + i,
        'ssim': ssim,
        'mae': 0.1,
        'nmi': 1.2,
      }
      for i in range(patients)
    ],
  }


REFERENCES = dict(
  untranslated=(9.8, -0.3), inverted=(12.0, 0.4), oracle=(19.0, 0.5)
)


@pytest.fixture
def workdir(trained, tmp_path):
  """A run of its own, scored as no run was."""
  place = tmp_path / 'mine'
  shutil.copytree(trained, place)
  return place


def write_scores(place, **directions):
  report = json.loads((place / 'held_out.json').read_text(encoding='utf-8'))
  for name in ('ab', 'ba'):
    report.pop(name)
  (place / 'evaluation.json').write_text(json.dumps(report | directions))


def test_a_translation_is_judged_beside_what_needs_no_network():
  own = make_direction('ab', 21.7, 0.88, **REFERENCES)
  told = verdict.judge_direction(own, ('T1w', 'T2w'))
  assert told.kind == 'good'
  assert '21.7 dB / 0.88' in told.text
  assert 'beats the input as it is (9.8 dB / -0.30)' in told.text
  assert 'not beat' not in told.text


def test_what_an_inverted_picture_shows_too_is_not_learnt():
  own = make_direction('ba', 13.0, 0.1, **REFERENCES)
  told = verdict.judge_direction(own, ('T2w', 'T1w'))
  assert told.kind == 'bad'
  assert 'matched in grey levels (12.0 dB / 0.40) in PSNR alone' in told.text
  assert re.search(r'does not beat the best map .* \(19.0 dB', told.text)
  assert told.text.endswith('little that an inverted picture does not.')


def test_what_does_not_beat_the_input_itself_is_no_success():
  references = REFERENCES | dict(untranslated=(25.0, 0.9))
  own = make_direction('ab', 21.7, 0.88, **references)
  told = verdict.judge_direction(own, ('T1w', 'PDw'))
  assert told.kind == 'bad'
  assert told.text.endswith('little that the input itself does not.')


def test_a_card_in_another_encoding_is_left_alone(workdir, capsys):
  (workdir / card.NAME).write_bytes(b'\xe9tude')
  report.report(str(workdir))
  assert (workdir / card.NAME).read_bytes() == b'\xe9tude'
  assert 'has been edited' in capsys.readouterr().out


@pytest.mark.parametrize(
  'asked,best,shown',
  [(4, 2, 'evaluation'), (3, 2, 'held_out'), (3, 3, 'evaluation')],
)
def test_scores_of_a_checkpoint_that_is_past_are_not_shown(
  workdir, asked, best, shown
):
  scored = json.loads((workdir / 'held_out.json').read_text(encoding='utf-8'))
  assert scored['checkpoint'] == 4
  earlier = json.dumps(scored | {'checkpoint': asked})
  (workdir / 'evaluation.json').write_text(earlier)
  shutil.rmtree(workdir / 'best', ignore_errors=True)
  (workdir / 'best' / str(best)).mkdir(parents=True)
  assert run_files.read(workdir).scored_by == shown


def test_no_run_at_all_is_a_mistake(tmp_path):
  with pytest.raises(errors.UserError, match='names no folder of a run'):
    report.report(',', target=str(tmp_path / 'x.html'))


def test_where_a_reference_is_better_is_marked():
  own = make_direction('ab', 21.7, 0.88, **REFERENCES)
  own['references']['oracle']['mae'] = summary(0.2)  # lower is better
  own['references']['untranslated']['nmi'] = summary(0.2)
  assert verdict.find_better(own) == {('oracle', 'mae')}
  told = verdict.judge_direction(own, ('T1w', 'T2w'))
  assert told.text.endswith('In MAE a reference is better: see the table.')


def test_the_better_direction_is_named(workdir):
  write_scores(
    workdir,
    ab=make_direction('ab', 21.7, 0.88, **REFERENCES),
    ba=make_direction('ba', 20.5, 0.9, **REFERENCES),
  )
  told = [each.text for each in verdict.judge(run_files.read(workdir))]
  assert (
    'The better direction is T1w to T2w, by 1.2 dB over T2w to T1w; by SSIM it '
    'is T2w to T1w, by 0.020. Their truths differ in contrast.'
  ) in told
  assert not any('too few' in text for text in told)


def test_a_report_tells_of_the_run(workdir):
  path = report.report(str(workdir))
  text = path.read_text(encoding='utf-8')
  assert path == workdir / 'report.html' and len(text) < 20_000_000
  assert 'Trained on 2 patients (' in text and 'of T1w and 2 patients' in text
  assert 'Held out: 1 patient' in text
  assert '1 patient: too few for an interval' in text
  assert text.count('ynthetic, not for diagnosis') > 4
  assert 'equilibrium' in text and 'generator.features' in text
  # Nothing is fetched: no address but those that sources and licences have in
  # scripts of others, which hold them as words.
  own = re.sub(r'<script>.*?</script>', '', text, flags=re.S)
  assert not re.search(r'(src|href)="(?!data:|#)', own)


def test_an_interval_needs_five_patients(workdir):
  for patients, shown in ((4, False), (5, True)):
    write_scores(
      workdir,
      ab=make_direction('ab', 21.7, 0.88, patients=patients, **REFERENCES),
    )
    text = report.report(str(workdir)).read_text(encoding='utf-8')
    assert ('[20.7, 22.7]' in text) is shown
    assert (f'{patients} patients: too few' in text) is not shown
    assert (
      '[20.7, 22.7]' in (workdir / card.NAME).read_text(encoding='utf-8')
    ) is shown


def test_what_went_wrong_is_said(workdir):
  with (workdir / 'metrics.jsonl').open('a') as file:
    line = {'step': 4, 'epoch': 1, 'kind': 'warning', 'about': 'x'}
    file.write(json.dumps(line | {'text': 'discriminator a has won'}) + '\n')
    file.write('{"step": 4, "kind": "st')  # killed here
  description = json.loads(
    (workdir / 'config.json').read_text(encoding='utf-8')
  )
  description['facts']['num_steps'] = 900
  (workdir / 'config.json').write_text(json.dumps(description))
  told = verdict.list_warnings(run_files.read(workdir))
  assert told[0] == 'Training is not finished: step 4 of 900.'
  assert 'Step 4: discriminator a has won.' in told


def test_runs_stand_side_by_side(workdir, trained, tmp_path):
  shutil.copytree(trained, tmp_path / 'other')
  description = json.loads(
    (workdir / 'config.json').read_text(encoding='utf-8')
  )
  description['config']['loss']['cycle'] = 7.5
  (workdir / 'config.json').write_text(json.dumps(description))
  both = f'{workdir},{tmp_path / "other"}'
  with pytest.raises(errors.UserError, match='--target=..., such as compare'):
    report.report(both)
  path = report.report(both, target=str(tmp_path / 'compare.html'))
  text = path.read_text(encoding='utf-8')
  assert '<code>loss.cycle</code>' in text and '7.5' in text
  assert '<code>loss.kind</code>' not in text  # the same in both
  with pytest.raises(errors.UserError, match='two runs are called mine'):
    report.report(f'{workdir},{workdir}', target=str(path))


def test_a_folder_that_is_no_run_is_named(tmp_path):
  with pytest.raises(
    errors.UserError, match=f'{tmp_path} holds no config.json'
  ):
    report.report(str(tmp_path))


def test_a_run_of_an_older_version_has_a_report(workdir):
  """Without facts, scores, samples or a log."""
  description = json.loads(
    (workdir / 'config.json').read_text(encoding='utf-8')
  )
  del description['facts']
  (workdir / 'config.json').write_text(json.dumps(description))
  scores = (*workdir.glob('held_out*'), *workdir.glob('evaluation*'))
  for path in (*scores, workdir / 'metrics.jsonl'):
    path.unlink()
  for folder in ('samples', 'views'):
    shutil.rmtree(workdir / folder, ignore_errors=True)
  text = report.report(str(workdir)).read_text(encoding='utf-8')
  assert 'no patients with both scans were held out' in text


def test_names_of_files_cannot_become_markup(workdir):
  own = make_direction('ab', 21.7, 0.88, **REFERENCES)
  own['subjects'][0]['patient'] = '<img src=x onerror=alert(1)></script>'
  write_scores(workdir, ab=own)
  text = report.report(str(workdir)).read_text(encoding='utf-8')
  assert '<img src=x' not in text and '&lt;img src=x' in text


def test_a_card_tells_of_the_run_and_of_nobody(workdir, trained, scan_folder):
  text = card.make(run_files.read(workdir))
  assert '# Model card: T1w to T2w and back' in text
  assert 'not for diagnosis' in text and '*to be filled in*' in text
  assert 'Trained on 2 patients' in text
  assert '| untranslated |' in text
  for secret in (str(scan_folder), str(trained), 'anna', 'bert', 'carl'):
    assert secret not in text


def test_a_card_that_people_wrote_in_is_left_to_them(workdir, capsys):
  path = workdir / card.NAME
  first = path.read_text(encoding='utf-8')
  card.write(run_files.read(workdir))
  assert path.read_text(encoding='utf-8') == first
  path.write_text(first.replace('*to be filled in*', 'Ward 7'))
  card.write(run_files.read(workdir))
  assert 'Ward 7' in path.read_text(encoding='utf-8')
  assert 'has been edited' in capsys.readouterr().out


def test_what_is_not_there_yet_can_be_made_from_the_command_line(
  workdir,
):
  (workdir / 'report.html').unlink()
  result = subprocess.run(
    [sys.executable, 'launch.py', '--mode=report', f'--workdir={workdir}'],
    cwd=pathlib.Path(__file__).parents[2],
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  assert result.stdout.splitlines()[-1] == f'report: {workdir}/report.html'
  assert (workdir / 'report.html').exists()


def test_samples_over_time_are_at_most_a_few(workdir):
  for path in (workdir / 'samples').iterdir():
    path.unlink()
  for step in range(1, 101):
    picture = Image.fromarray(np.full((8, 8), step, np.uint8))
    picture.save(workdir / 'samples' / f'step_{step:07d}.png')
  text = report.report(str(workdir)).read_text(encoding='utf-8')
  found = re.search(
    r'class="samples">.*?json">(.*?)</script>', text, flags=re.S
  )
  steps = [each['step'] for each in json.loads(found.group(1))]
  assert len(steps) == 24 and steps[0] == 1 and steps[-1] == 100


def test_a_picture_of_any_size_fits_on_a_page(tmp_path):
  Image.new('1', (20_000, 10_000)).save(tmp_path / 'large.png')
  kind, _, content = page.embed_picture(tmp_path / 'large.png').partition(',')
  assert kind == 'data:image/webp;base64'
  with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
    assert picture.size == (4096, 2048)
