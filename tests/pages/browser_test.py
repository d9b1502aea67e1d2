"""Pages as a person sees them: in a browser, from disk, without a network."""

import base64
import io
import pathlib
import re
import shutil

import numpy as np
from PIL import Image
import pytest

from cyclegan_jax import evaluate
from cyclegan_jax import translate

webdriver = pytest.importorskip('selenium.webdriver')
_BROWSER, _DRIVER = shutil.which('chromium'), shutil.which('chromedriver')
pytestmark = pytest.mark.skipif(
  not (_BROWSER and _DRIVER),
  reason="Debian's chromium and chromium-driver are not installed",
)


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
  options = webdriver.ChromeOptions()
  options.binary_location = _BROWSER
  for name in (
    *('headless=new', 'no-sandbox', 'no-first-run', 'hide-scrollbars'),
    *('disable-background-networking', 'disable-component-update'),
    *('disable-sync', 'use-angle=swiftshader', 'enable-unsafe-swiftshader'),
    'proxy-server=http://127.0.0.1:9',  # nobody answers: no network
    f'user-data-dir={tmp_path_factory.mktemp("browser")}',
  ):
    options.add_argument(f'--{name}')
  options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
  driver = webdriver.Chrome(
    options=options, service=webdriver.ChromeService(_DRIVER)
  )
  driver.set_script_timeout(60)
  yield driver
  driver.quit()


@pytest.fixture(scope='module')
def workdir(trained, tmp_path_factory):
  place = tmp_path_factory.mktemp('page') / 'run'
  shutil.copytree(trained, place)
  evaluate.evaluate(place)
  return place


def open_page(browser, path, width=1400):
  browser.execute_cdp_cmd(
    'Emulation.setDeviceMetricsOverride',
    dict(width=width, height=900, deviceScaleFactor=1, mobile=False),
  )
  browser.get(pathlib.Path(path).as_uri())
  wait(browser, '.viewer')


def wait(browser, selector, what='dataset.shown'):
  """Until the viewer has drawn; the browser tells when, nobody sleeps."""
  browser.execute_async_script(
    f"""
    const done = arguments[0];
    const root = document.querySelector('{selector}');
    const look = () => root.{what}
      ? requestAnimationFrame(() => requestAnimationFrame(() => done()))
      : requestAnimationFrame(look);
    look();
    """
  )


def draw(browser, selector):
  """What is on the screen of an element: [H, W, 3]."""
  (element,) = browser.find_elements('css selector', selector)
  browser.execute_script('arguments[0].scrollIntoView()', element)
  png = io.BytesIO(base64.b64decode(element.screenshot_as_base64))
  return np.asarray(Image.open(png).convert('RGB')).astype(int)


def set_value(browser, selector, value, event='input'):
  browser.execute_script(
    """
    const field = document.querySelector(arguments[0]);
    field.value = arguments[1];
    field.dispatchEvent(new Event(arguments[2]));
    """,
    *(selector, str(value), event),
  )


def find_complaints(browser):
  return [
    each
    for each in browser.get_log('browser')
    if each['level'] in ('SEVERE', 'WARNING')
  ]


@pytest.mark.parametrize('width', [1400, 420])
def test_a_report_is_drawn_without_a_network(browser, workdir, width):
  open_page(browser, workdir / 'report.html', width)
  page = 'document.documentElement.scrollWidth'
  assert browser.execute_script(f'return {page}') <= width
  charts = browser.find_elements('css selector', '.chart .main-svg')
  assert len(charts) >= 6
  curves = browser.find_elements('css selector', '.chart .scatterlayer path')
  assert len(curves) > 6
  stage = draw(browser, '.viewer .stage')
  assert np.ptp(stage) > 150  # a head in the dark, and a crosshair
  assert (stage.max(axis=2) > 60).mean() > 0.05
  assert find_complaints(browser) == []


def test_the_slider_goes_through_the_samples(browser, workdir):
  open_page(browser, workdir / 'report.html')
  image = '.samples img'
  last = draw(browser, image)
  set_value(browser, '.samples input', 0)
  wait(browser, image, 'complete')
  output = browser.find_element('css selector', '.samples output')
  first = draw(browser, image)
  steps = sorted((workdir / 'samples').iterdir())
  assert output.text == f'step {int(steps[0].stem.split("_")[1])}'
  assert len(steps) == 1 or (first.shape != last.shape or (first != last).any())


def test_a_heading_sorts_the_table(browser, workdir):
  open_page(browser, workdir / 'report.html')
  table = '#table table'
  rows = f'{table} tbody tr'

  def read():
    return [
      float(
        row.find_elements('css selector', 'td')[3].get_attribute('data-value')
      )
      for row in browser.find_elements('css selector', rows)
    ]

  values = read()
  assert len(values) == 2 and len(set(values)) == 2
  heading = f'{table} th:nth-child(4) button'
  for expected in (sorted(values), sorted(values, reverse=True)):
    browser.execute_script(f"document.querySelector('{heading}').click()")
    assert read() == expected


def test_the_viewer_answers(browser, workdir):
  """The crosshair moves, what is blended in and its window change."""
  open_page(browser, workdir / 'report.html')
  stage = '.viewer .stage'
  place = browser.find_element('css selector', '.viewer .place')
  stamp = browser.find_element('css selector', '.viewer .stamp')
  assert 'T2w synthetic over T1w' in stamp.text
  assert 'not for diagnosis' in stamp.text
  made = draw(browser, stage)
  (canvas,) = browser.find_elements('css selector', '.viewer canvas')
  actions = webdriver.ActionChains(browser)
  size = canvas.size
  actions.move_to_element_with_offset(
    canvas, -size['width'] // 2 + 60, -size['height'] // 2 + 80
  )
  actions.click().perform()
  assert 'of the range' in place.text and ' mm:' in place.text
  # The patient's right is at the left of the picture, and is called so.
  sides = []
  for share in (0.9, 0.1):
    browser.execute_script(
      "const { viewer } = document.querySelector('.viewer');"
      'viewer.scene.crosshairPos = [arguments[0], 0.5, 0.5];'
      'viewer.createOnLocationChange();',
      share,
    )
    sides.append(place.text.removeprefix('from the middle ')[0])
  assert sides == ['R', 'L']
  moved = draw(browser, stage)
  assert (moved != made).any(axis=2).mean() > 0.001
  set_value(browser, '.viewer [name=opacity]', 0)
  source = draw(browser, stage)
  assert np.abs(source - moved).mean() > 1
  set_value(browser, '.viewer [name=high]', 60)
  bright = draw(browser, stage)
  assert bright.mean() > source.mean() + 5
  browser.execute_script("document.querySelector('.viewer').dataset.shown = ''")
  set_value(browser, '.viewer [name=overlay]', 'difference', 'change')
  wait(browser, '.viewer')
  assert re.match('difference .* over T1w', stamp.text)
  set_value(browser, '.viewer [name=opacity]', 100)
  assert np.ptp(draw(browser, stage), axis=2).max() > 60  # in colours
  assert find_complaints(browser) == []


def test_the_page_of_a_translation_is_drawn(browser, workdir, scan_folder):
  target = workdir / 'carl_T2.nii.gz'
  source = str(scan_folder / 'carl' / 'T1.nii.gz')
  translate.translate(
    str(workdir),
    direction='ab',
    source=source,
    target=str(target),
    preview=True,
  )
  open_page(browser, workdir / 'carl_T2_preview.html')
  assert np.ptp(draw(browser, '.viewer .stage')) > 100
  text = browser.find_element('css selector', 'main').text
  assert 'T1.nii.gz: T1w to T2w' in text and 'not for diagnosis' in text
  overlays = '.viewer [name=overlay] option'
  assert len(browser.find_elements('css selector', overlays)) == 1
  assert find_complaints(browser) == []


def test_without_pairs_each_view_has_its_direction(
  browser, workdir, scan_folder, tmp_path
):
  for name, scan in (('a', 'anna/T1.nii.gz'), ('b', 'bert/T2.nii.gz')):
    (tmp_path / name).mkdir()
    shutil.copy(scan_folder / scan, tmp_path / name / f'{name}.nii.gz')
  shutil.copytree(workdir, tmp_path / 'run')
  evaluate.evaluate(
    tmp_path / 'run',
    source_a=str(tmp_path / 'a'),
    source_b=str(tmp_path / 'b'),
  )
  open_page(browser, tmp_path / 'run' / 'report.html')
  stamp = browser.find_element('css selector', '.viewer .stamp')
  assert 'T2w synthetic over T1w' in stamp.text
  browser.execute_script("document.querySelector('.viewer').dataset.shown = ''")
  set_value(browser, '.viewer [name=view]', 1, 'change')
  wait(browser, '.viewer')
  assert 'T1w synthetic over T2w' in stamp.text
  assert find_complaints(browser) == []


def test_without_webgl_three_planes_are_shown(browser, workdir):
  cut = 'HTMLCanvasElement.prototype.getContext = () => null'
  added = browser.execute_cdp_cmd(
    'Page.addScriptToEvaluateOnNewDocument', {'source': cut}
  )
  try:
    browser.get((workdir / 'carl_T2_preview.html').as_uri())
    wait(browser, '.viewer', "classList.contains('unsupported')")
    assert np.ptp(draw(browser, '.viewer .fallback')) > 100
  finally:
    browser.execute_cdp_cmd('Page.removeScriptToEvaluateOnNewDocument', added)
