"""config.json is read as it was written, or is none."""

import json

import pytest

from configs import smoke
from cyclegan_jax.reporting import description


@pytest.mark.parametrize('content', [None, '{"conf', '[]', '{"versions": {}}'])
def test_a_file_that_tells_no_config_is_none(tmp_path, content):
  if content is not None:
    (tmp_path / 'config.json').write_text(content)
  assert description.read(tmp_path) == {}


def test_a_file_is_read_as_it_was_written(tmp_path):
  written = {'config': smoke.get_config().to_dict(), 'versions': {}}
  (tmp_path / 'config.json').write_text(json.dumps(written))
  assert description.read(tmp_path) == json.loads(json.dumps(written))
