"""The embedded data set: simulated axial slices of heads, T1w and T2w or other.

The data is SIMULATED: no image shows a real patient. Grey matter, white matter
and brain outline come from the ICBM152 2009 template (Fonov et al., NeuroImage
54, 2011) as nilearn ships it. The template is skull-stripped: skull and scalp
are shells around its outline. Every person is a random smooth deformation of
that one anatomy: far less variety than real people have.

Slices are in radiological display convention: anterior at the top, the
patient's right at the left of the image. Coordinates are template voxels
(x to the patient's right, y to anterior, z up); one voxel is 1 mm.
"""

import pathlib
import tempfile
from typing import Any
from typing import NamedTuple

import numpy as np
from PIL import Image
import scipy  # whose parts are loaded when they are named
from scipy import ndimage

from cyclegan_jax import errors
from cyclegan_jax.data import sequences


class Tissue(NamedTuple):
  """Relative proton density, T1 in ms and T2 in ms at 1.5 T."""

  rho: float
  t1: float
  t2: float


class Template(NamedTuple):
  """The one anatomy that every person is made from; float32, axes x, y, z."""

  grey: np.ndarray  # fraction, 1 mm voxels
  white: np.ndarray  # fraction, 1 mm voxels
  depth: np.ndarray  # mm to the brain's outline, > 0 outside, 2 mm voxels
  pull: tuple  # 3 arrays: direction to the ventricles, <= 1, 2 mm voxels


class Anatomy(NamedTuple):
  """One person on the pixels of their slices; air fills the rest of a pixel."""

  fractions: np.ndarray  # (slices, height, width, tissues), each about 0 to 1
  tissues: np.ndarray  # (3, tissues): rho, T1, T2
  grid: tuple  # (z, y, x) of the pixels in template voxels


TISSUES = (
  Tissue(0.79, 980.0, 100.0),  # grey matter
  Tissue(0.72, 570.0, 80.0),  # white matter
  Tissue(1.00, 4500.0, 2200.0),  # cerebrospinal fluid
  Tissue(0.75, 1000.0, 180.0),  # white matter lesion
  Tissue(0.06, 800.0, 40.0),  # compact bone
  Tissue(0.40, 350.0, 60.0),  # bone marrow
  Tissue(0.75, 900.0, 45.0),  # muscle and skin
  Tissue(0.68, 250.0, 60.0),  # fat
)
VERSION = 1  # of the recipe: raise it when the images change
FIELD_OF_VIEW = 224.0  # mm
CENTER = (98.0, 117.0, 92.0)  # the field of view's, in template voxels
HEIGHTS = (67, 117)  # basal ganglia to centrum semiovale: MNI -5 to 45 mm
ROLES = (('train_a',), ('train_b',), ('test_a', 'test_b'))
_distance: Any = ndimage.distance_transform_edt
DEFAULTS = {'a': sequences.T1W, 'b': sequences.T2W}
KEYS = {'a': 1, 'b': 2}  # of what scans of a domain draw


def load_template(*, blur):
  """Reads nilearn's maps -> Template; `blur` in mm is against aliasing."""
  from nilearn import datasets  # here: the import alone takes two seconds

  def pack(volume):  # Fortran order: four times faster to sample along x
    return np.asfortranarray(volume, dtype=np.float32)

  grey = datasets.load_mni152_gm_template(resolution=1).get_fdata()
  white = datasets.load_mni152_wm_template(resolution=1).get_fdata()
  brain = datasets.load_mni152_brain_mask(resolution=1).get_fdata()
  brain, tissue = brain[::2, ::2, ::2] > 0.5, (grey + white)[::2, ::2, ::2]
  # a closing by 10 mm, which bridges the fissures as the skull does
  near = _distance(~brain, sampling=2.0) <= 10
  depth = 10 + _distance(~near, sampling=2.0) - _distance(near, sampling=2.0)
  depth = ndimage.gaussian_filter(depth, 2.0)
  # ventricles: fluid deep in the brain, in a box around the midline
  x, y, z = np.ogrid[tuple(slice(0, 2 * n, 2) for n in brain.shape)]
  box = (abs(x - 98) < 40) & (abs(y - 117) < 60) & (abs(z - 87) < 30)
  fluid = np.where(box & (depth < -22), (brain - tissue).clip(0, 1), 0)
  pull = np.gradient(ndimage.gaussian_filter(fluid, 3.0))
  steepest = np.linalg.norm(pull, axis=0).max()
  if blur > 0.5:  # finer than that the template has no detail
    grey = ndimage.gaussian_filter(grey, blur)
    white = ndimage.gaussian_filter(white, blur)
  pull = tuple(pack(part / steepest) for part in pull)
  return Template(pack(grey), pack(white), pack(depth), pull)


def draw_field(rng, grid, *, spacing):
  """Draws a smooth random field: cubic B-splines on a random lattice.

  `grid` is (z, y, x), each the coordinates along one axis, and `spacing` the
  lattice's, all in mm. Returns (len(z), len(y), len(x)), mean 0, variance 1.
  """
  # the lattice covers the field of view whatever the pixels and the slices, so
  # that a person looks the same at every image size
  knots = np.arange(-20 - spacing, 240 + 2 * spacing, spacing)
  lattice = rng.standard_normal([len(knots)] * 3)
  bases = []
  for axis in grid:
    t = abs(axis[:, None] - knots) / spacing
    inner = 2 / 3 - t**2 + t**3 / 2
    bases.append(np.where(t < 1, inner, (2 - t).clip(0) ** 3 / 6))
  field = np.einsum('zk,yj,xi,kji->zyx', *bases, lattice, optimize=True)
  return field / 0.479**1.5  # 0.479: mean of the splines' sum of squares


def place_pixels(rng, grid):
  """Draws a head's pose, size and shape: where pixels are in the template.

  `grid` is (z, y, x) in mm; returns (3, slices, height, width): x, y, z.
  """
  angles = np.deg2rad(rng.normal(0, (4, 2, 3)).clip(-7, 7))
  scale = 0.97 * np.exp(rng.normal(0, 0.03, 3).clip(-0.06, 0.06))
  shift = rng.normal(0, (1.5, 1.5, 3)).clip(-4, 4)
  turn = scipy.spatial.transform.Rotation.from_euler('xyz', angles).as_matrix()
  z, y, x = np.meshgrid(*grid, indexing='ij')
  center = np.reshape(CENTER, (3, 1, 1, 1))
  points = np.tensordot(turn / scale, np.stack([x, y, z]) - center, 1)
  bends = [2.5 * draw_field(rng, grid, spacing=55.0) for _ in range(3)]
  return points + center + shift.reshape(3, 1, 1, 1) + bends


def sample(volume, points):
  """Interpolates (x, y, z) linearly at the voxels `points`, (3, ...)."""
  return ndimage.map_coordinates(volume, points, order=1, mode='nearest')


def simulate_anatomy(template, rng, heights, *, image_size):
  """Draws one person: `heights` of slices in template voxels -> Anatomy."""
  pixel = FIELD_OF_VIEW / image_size
  line = ((image_size - 1) / 2 - np.arange(image_size)) * pixel
  # both axes run down: row 0 is anterior, column 0 the patient's right
  grid = (np.asarray(heights, float), CENTER[1] + line, CENTER[0] + line)

  def field(spacing):
    return draw_field(rng, grid, spacing=spacing)

  points = place_pixels(rng, grid)
  depth = sample(template.depth, points / 2)
  # skull and scalp: shells of uneven thickness in mm, from the brain outwards;
  # the skull is thin at the sides, where the temporal muscle covers it
  side = abs(points[0] - CENTER[0]) / 70
  temple = np.exp(-(((side - 1) / 0.35) ** 2) - ((points[1] - 140) / 26) ** 2)
  temple /= 1 + np.exp((points[2] - 100) / 6)
  rim = (rng.normal(1.4, 0.5) + 0.4 * field(40.0)).clip(0.5)
  bone = (rng.normal(7.0, 0.8) + 0.8 * field(40.0)).clip(3.5)
  skull = rim + bone * (1 - 0.35 * side.clip(0, 1))
  muscle = skull + temple * rng.uniform(4, 9) + 0.4
  fat = muscle + (rng.normal(4.0, 0.9) + 0.7 * field(40.0)).clip(1.5)

  def within(radius):  # with an edge as wide as a pixel, against staircases
    return ((radius - depth) / max(pixel, 1.0) + 0.5).clip(0, 1)

  brain, head = within(rim), within(fat + 1.6)  # 1.6: the skin
  marrow = 0.6 * (within(skull - 1.8) - within(rim + 1.8)).clip(0)
  bone = within(skull) - brain - marrow
  flesh = within(muscle) - within(skull) + head - within(fat)
  # inside the skull people differ more; to sample nearer to the ventricles is
  # to see them larger
  points = points + [0.9 * field(18.0) for _ in range(3)]
  pull = [sample(part, points / 2) for part in template.pull]
  points += rng.uniform(-1.5, 4.5) * np.stack(pull)
  grey = sample(template.grey, points)
  white = sample(template.white, points)
  fluid = (1 - grey - white).clip(0, 1) * rng.uniform(1.0, 2.0)
  # the template is an average: fractions moved at random where tissues meet,
  # then sharpened, stand for one person's own folds
  white = white * np.exp(0.6 * field(6.0))
  fluid = fluid * np.exp(0.8 * field(6.0))
  parts = np.stack([grey, white, fluid]).clip(1e-6) ** 1.8
  grey, white, fluid = parts / parts.sum(0) * brain
  spots = (2 * field(5.0) - 5.2).clip(0, 0.9)
  lesion = white**4 * spots * (rng.random() < 0.25)
  fractions = [grey, white - lesion, fluid, lesion, bone, marrow, flesh]
  fractions.append(within(fat) - within(muscle))
  fractions = np.stack(fractions * (1 + 0.02 * field(5.0)), -1)
  jitter = rng.normal(1, 0.03, (3, len(TISSUES))).clip(0.93, 1.07)
  return Anatomy(fractions, np.transpose(TISSUES) * jitter, grid)


def scan(anatomy, sequence, rng):
  """Images an Anatomy: uint8, or float32 in units; (slices, height, width).

  Shading and noise come from `rng`.
  """
  if not sequences.is_mr(sequence):
    return sequences.scan_values(anatomy.fractions, sequence, rng)
  shading = 0.08 * draw_field(rng, anatomy.grid, spacing=80.0)
  return sequences.scan_mr(
    anatomy.fractions, anatomy.tissues, sequence, shading, rng
  )


def simulate_person(template, person, *, seed, image_size, slices, scanned):
  """Simulates aligned scans of one person, fixed by `seed` and `person`.

  `scanned` has a sequence for each key, of its own shading and noise. Returns
  heights in template voxels, (slices,) int, and for each of `scanned` what
  `scan` makes. UserError: too many slices.
  """
  low, high = HEIGHTS
  if not 1 <= slices <= high - low:
    raise errors.UserError(f'phantom.slices={slices}: from 1 to {high - low}')
  rng = np.random.default_rng([seed, person, 0])
  steps = (np.arange(slices) + rng.random()) / slices
  heights = (low + steps * (high - low)).astype(int)
  anatomy = simulate_anatomy(template, rng, heights, image_size=image_size)
  scans = [
    scan(anatomy, sequence, np.random.default_rng([seed, person, key]))
    for key, sequence in scanned.items()
  ]
  return heights, scans


def make_dataset(
  directory,
  *,
  image_size,
  seed=0,
  people=24,
  test_people=6,
  slices=6,
  scanned=DEFAULTS,
  report=lambda done, total: None,
):
  """Writes the simulated data set, once: a picture for every slice.

  train_a holds slices of one contrast and train_b of the other, of different
  people; test_a and test_b hold both of further people, under the same names.
  Names are `person003_z094.png`: the person's number and the height in
  template voxels. Numbers go round the folders: nobody depends on how many.
  MR is 8-bit grey PNG; what has units is float32 TIFF.

  Args:
    directory: where to; if it exists already, nothing is done.
    image_size: pixels along each side of the 224 mm field of view.
    seed: another seed gives other people.
    people: people in train_a, and again in train_b.
    test_people: people in the test set.
    slices: axial slices per person, 1 to 50.
    scanned: the sequence of domain 'a' and 'b', as `sequences` has it.
    report: called as report(done, total) after each person.
  """
  directory = pathlib.Path(directory)
  if directory.exists():
    return
  counts = enumerate((people, people, test_people))
  jobs = [(i, role) for role, count in counts for i in range(count)]
  template = load_template(blur=0.4 * FIELD_OF_VIEW / image_size)
  directory.parent.mkdir(parents=True, exist_ok=True)
  # whole or not at all: an interrupted run must not look like a data set
  prefix = f'{directory.name}.partial-'
  with tempfile.TemporaryDirectory(prefix=prefix, dir=directory.parent) as tmp:
    root = pathlib.Path(tmp, 'images')
    for folder in sum(ROLES, ()):
      (root / folder).mkdir(parents=True)
    for done, (i, role) in enumerate(jobs, 1):
      person = i * len(ROLES) + role
      heights, scans = simulate_person(
        template,
        person,
        seed=seed,
        image_size=image_size,
        slices=slices,
        scanned={KEYS[name[-1]]: scanned[name[-1]] for name in ROLES[role]},
      )
      for folder, images in zip(ROLES[role], scans, strict=True):
        for height, image in zip(heights, images, strict=True):
          suffix = 'png' if image.dtype == np.uint8 else 'tif'
          name = f'person{person:03d}_z{height:03d}.{suffix}'
          Image.fromarray(image).save(root / folder / name)
      report(done, len(jobs))
    if not directory.exists():  # another process may have been as quick
      root.rename(directory)
