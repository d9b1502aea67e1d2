"""Places that people name."""

import pytest

from cyclegan_jax import errors
from cyclegan_jax import places


@pytest.mark.parametrize(
  'place,message',
  [
    ('x' * 300, '--target names what can be no path, of 3.. characters'),
    ('zero\0', '--target names what can be no path'),
    ('gs://x', '--target=gs://x is an address'),
    ('loop', 'loop is a link that leads to itself'),
    ('gone', 'gone is a link that leads nowhere'),
  ],
)
def test_what_can_be_no_path_is_refused(tmp_path, place, message):
  (tmp_path / 'loop').symlink_to('loop')
  (tmp_path / 'gone').symlink_to('nowhere')
  place = place if '://' in place else f'{tmp_path}/{place}'
  with pytest.raises(errors.UserError, match=message):
    places.check_places({'--target': place})


@pytest.mark.parametrize('place', ['/proc/x', '/proc/x/y.nii', 'file/x.nii'])
def test_a_target_that_cannot_be_written_is_refused(tmp_path, place):
  (tmp_path / 'file').write_text('')
  with pytest.raises(errors.UserError, match='--target=.* cannot be written '):
    places.check_target(str(tmp_path / place))
  places.check_target(str(tmp_path / 'file'))
  places.check_target(str(tmp_path / 'new' / 'x.nii'))
  assert [path.name for path in tmp_path.iterdir()] == ['file'], 'no trace'


@pytest.mark.parametrize(
  'place', ['/proc/x.html', 'file/x.html', 'config.json', 'folder', 'new/x.nii']
)
def test_a_page_goes_where_it_can_and_replaces_no_other_file(tmp_path, place):
  (tmp_path / 'file').write_text('')
  (tmp_path / 'config.json').write_text('')
  (tmp_path / 'folder').mkdir()
  with pytest.raises(errors.UserError, match='--target=.* (cannot be|no page)'):
    places.check_page(str(tmp_path / place))
  places.check_page(str(tmp_path / 'new' / 'x.html'))
  places.check_page(None)
