'use strict';

// Sample grids over time: a slider chooses which one is shown.
for (const root of document.querySelectorAll('.samples')) {
  const grids = JSON.parse(root.querySelector('script').textContent);
  const slider = root.querySelector('input');
  const show = () => {
    const grid = grids[slider.value];
    root.querySelector('img').src = grid.source;
    root.querySelector('output').textContent = `step ${grid.step}`;
  };
  slider.addEventListener('input', show);
  show();
}

// Tables: a click on a heading sorts by its column, a second one turns it.
for (const heading of document.querySelectorAll('table.sortable th')) {
  heading.querySelector('button').addEventListener('click', () => {
    const table = heading.closest('table');
    const rising = heading.getAttribute('aria-sort') !== 'ascending';
    for (const other of heading.parentNode.children) {
      other.removeAttribute('aria-sort');
    }
    heading.setAttribute('aria-sort', rising ? 'ascending' : 'descending');
    const column = heading.cellIndex;
    const key = (row) => row.cells[column].dataset.value;
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((first, second) => {
      const order = key(first).localeCompare(key(second), undefined, {
        numeric: true,
      });
      const numbers = Number(key(first)) - Number(key(second));
      return Number.isNaN(numbers) ? order : numbers;
    });
    body.append(...(rising ? rows : rows.reverse()));
  });
}

// Volumes. What is shown is a source and, blended over it, an image made from
// it, the truth, or how far the two are apart.
async function openViewer(root) {
  const { domains, views } = JSON.parse(root.querySelector('script').textContent);
  const field = (name) => root.querySelector(`[name=${name}]`);
  const say = (text) => {
    root.querySelector('.place').textContent = text;
  };
  if (!document.createElement('canvas').getContext('webgl2')) {
    root.classList.add('unsupported');
    say('This browser cannot draw volumes (no WebGL 2).');
    const fallback = root.querySelector('.fallback');
    if (fallback) {
      root.querySelector('canvas').remove();
      fallback.hidden = false;
    }
    return;
  }
  const viewer = new niivue.Niivue({
    backColor: [0, 0, 0, 1],
    crosshairColor: [0.35, 0.75, 1, 0.8],
    crosshairWidth: 0.4,
    isRadiologicalConvention: true,
    isOrientationTextVisible: true,
    fontColor: [1, 1, 1, 1],
    fontMinPx: 16,
    sagittalNoseLeft: true,
    multiplanarShowRender: 0,
    show3Dcrosshair: false,
    dragAndDropEnabled: false,
    logLevel: 'error',
  });
  await viewer.attachToCanvas(root.querySelector('canvas'));
  const read = (content, name, colormap) =>
    niivue.NVImage.loadFromBase64({
      base64: content,
      name: `${name}.nii.gz`,
      colormap,
      cal_min: 0,
      cal_max: 255,
    });

  function window_() {
    const low = Math.min(field('low').value, field('high').value - 1);
    for (const volume of viewer.volumes) {
      const apart = volume.name.startsWith('difference');
      volume.cal_min = apart ? 0 : low;
      volume.cal_max = apart ? 128 : Number(field('high').value);
    }
    viewer.updateGLVolume();
  }

  // Of scans without pairs a view has one direction.
  function chooseDirection() {
    const options = [...field('direction').options];
    for (const option of options) {
      option.disabled = !(`fake_${option.value[1]}` in view.images);
    }
    if (field('direction').selectedOptions[0].disabled) {
      field('direction').value = options.find((each) => !each.disabled).value;
    }
  }

  function blend() {
    if (viewer.volumes.length > 1) {
      const share = field('opacity').value / 100;
      // A difference is told by its colour: nothing is to shine through.
      const apart = viewer.volumes[1].name.startsWith('difference');
      viewer.setOpacity(0, apart ? 1 - share : 1);
      viewer.setOpacity(1, share);
    }
  }

  viewer.onLocationChange = (place) => {
    const [x, y, z] = place.mm;
    const sides = [
      `${x < 0 ? 'L' : 'R'} ${Math.abs(x).toFixed(0)}`,
      `${y < 0 ? 'P' : 'A'} ${Math.abs(y).toFixed(0)}`,
      `${z < 0 ? 'I' : 'S'} ${Math.abs(z).toFixed(0)} mm`,
    ];
    const where = view.neighbours
      ? `from the middle ${sides.join('  ')}:  `
      : ''; // of pictures neither sides nor millimetres are known
    const values = place.values.map(
      (each, i) => `${shown[i]} ${Math.round((100 * each.value) / 255)} %`,
    );
    say(`${where}${values.join(', ')} of the range`);
  };

  let shown = [];
  let view = views[0];
  let asked = 0;
  async function show() {
    const order = (asked += 1);
    view = views[field('view').value];
    chooseDirection();
    const direction = field('direction').value;
    const [from, to] = direction;
    const name = (domain) => domains['ab'.indexOf(domain)];
    const made = await read(view.images[`fake_${to}`], 'synthetic', 'gray');
    const truth = view.images[to] && (await read(view.images[to], 'truth', 'gray'));
    const source = await read(view.images[from], 'source', 'gray');
    if (order !== asked) return; // something else was asked for meanwhile
    const kind = truth ? field('overlay').value : 'synthetic';
    let overlay = { synthetic: made, truth }[kind];
    if (kind === 'difference') {
      overlay = await read(view.images[to], 'difference', 'inferno');
      overlay.img = truth.img.map((value, i) => Math.abs(value - made.img[i]));
    }
    for (const volume of [...viewer.volumes]) viewer.removeVolume(volume);
    viewer.addVolume(source);
    viewer.addVolume(overlay);
    shown = [
      name(from),
      {
        synthetic: `${name(to)} synthetic`,
        truth: `${name(to)} truth`,
        difference: 'difference (bright: half the range or more)',
      }[kind],
    ];
    viewer.setSliceType(
      view.neighbours ? viewer.sliceTypeMultiplanar : viewer.sliceTypeAxial,
    );
    viewer.opts.isOrientationTextVisible = view.neighbours;
    window_();
    blend();
    say('Click into a plane to move the crosshair; turn the wheel for the next slice.');
    const notice =
      kind === 'truth' ? 'not for diagnosis' : root.dataset.notice;
    root.querySelector('.stamp').textContent =
      `${shown[1]} over ${shown[0]} · ${notice}`;
    root.dataset.shown = `${view.name} ${direction} ${kind}`;
  }

  for (const name of ['view', 'direction', 'overlay']) {
    field(name).addEventListener('change', show);
  }
  for (const name of ['low', 'high']) field(name).addEventListener('input', window_);
  field('opacity').addEventListener('input', blend);
  root.viewer = viewer;
  await show();
}

for (const root of document.querySelectorAll('.viewer')) {
  openViewer(root).catch((error) => {
    root.querySelector('.place').textContent = `The viewer failed: ${error}`;
    console.error(error);
  });
}

// Charts that were drawn before the page had its width get it now.
window.addEventListener('load', () => {
  for (const chart of document.querySelectorAll('.js-plotly-plot')) {
    Plotly.Plots.resize(chart);
  }
});
