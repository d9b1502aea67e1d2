"""Cases to score: scans of a patient on one grid, translated, in [0, 1]."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses

import numpy as np

from cyclegan_jax.evaluation import alignment
from cyclegan_jax.inference import translation
from cyclegan_jax.mri import canvas
from cyclegan_jax.mri import channels
from cyclegan_jax.mri import head
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import registration
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dispatch

Report = Callable[[int, int], None]
_LOOKED_AT = 7  # pictures of a patient, for how they are shifted


@dataclasses.dataclass(frozen=True)
class Case:
  """Scans of one patient, as stacks of slices [S, H, W] in [0, 1].

  Attributes:
    name: of the scan, or of the patient for pictures.
    patient: whose they are.
    images: by stage: 'a' and 'b' as scanned; 'fake_b', 'fake_a', made from
      them; and where asked for 'cycled_a', 'cycled_b'.
    masks: [S, H, W] bool, where the head is: 'a', 'b', and 'both'.
    spacing: mm between slices, rows, columns; None if unknown.
    notes: what a person should know before believing the numbers.
    numbers: of the slices in the scan; none: they are all of it, from 0.
  """

  name: str
  patient: str
  images: dict[str, np.ndarray]
  masks: dict[str, np.ndarray]
  spacing: tuple[float, float, float] | None
  notes: tuple[str, ...] = ()
  numbers: tuple[int, ...] = ()


def load_volumes(
  scans: dict[str, dispatch.Scan],
  translators: dict[str, translation.Translator],
  *,
  batch_size: int,
  volume: int | None,
  cycle: bool = False,
  report: Report = lambda done, total: None,
) -> Case:
  """Reads and translates the volumes of one patient.

  With two scans, that of domain b is brought onto the grid of a, if it has
  another, and moved back if the head has moved in between.

  Args:
    scans: of domain 'a', 'b' or both.
    translators: of both directions.
    batch_size: slices at a time.
    volume: which one of 4-D files; None: as in training.
    cycle: whether to translate back too.
    report: called with the slices translated and their number.

  Raises:
    UserError: naming the file and what is wrong with it.
  """
  read, scalings, notes = _read_on_one_grid(scans, translators, volume)
  grid = next(iter(read.values()))
  report = _join_reports(report, len(read) * (2 if cycle else 1))
  plane = translators['ab'].settings[0].planes[0]
  images, masks = {}, {}
  for domain, each in read.items():
    scaling = scalings[domain]

    def put(stage, unit, affine=each.affine):
      images[stage] = (volume_lib.to_plane(unit, affine, plane) + 1) / 2

    def run(direction, source, knots):
      translator = translators[direction]
      return translation.translate_units(
        translator.generate,
        source,
        knots,
        batch_size=batch_size,
        settings=translator.settings[0]._replace(planes=(plane,)),
        multiple=translator.multiple,
        channels=translator.channels,
        report=report,
      )

    put(domain, intensity.to_unit(each.voxels, scaling))
    masks[domain] = head.find_heads(images[domain])
    other = 'b' if domain == 'a' else 'a'
    fake = run(domain + other, each, scaling)
    put(f'fake_{other}', fake)
    if cycle:
      typical = translators[domain + other].intensities[1].scaling
      back = dataclasses.replace(
        each, voxels=intensity.from_unit(fake, typical)
      )
      put(f'cycled_{domain}', run(other + domain, back, typical))
  first = next(iter(scans.values()))
  return Case(
    name=first.name,
    patient=first.patient,
    images=images,
    masks=join_masks(masks),
    spacing=volume_lib.plane_spacing(grid.affine, plane)
    if grid.measured
    else None,
    notes=tuple(notes),
  )


def load_pictures(
  scans: dict[str, Sequence[dispatch.Scan]],
  translators: dict[str, translation.Translator],
  *,
  batch_size: int,
  cycle: bool = False,
  report: Report = lambda done, total: None,
) -> Case:
  """Reads and translates the pictures of one patient, at the networks' size.

  Args:
    scans: of domain 'a', 'b' or both; with both, pairs in the same order.
    translators: of both directions.
    batch_size: slices at a time.
    cycle: whether to translate back too.
    report: called with the slices translated and their number.

  Raises:
    UserError: naming the file and what is wrong with it.
  """
  images, masks = {}, {}
  total = sum(map(len, scans.values()))
  done = 0
  for domain, each in scans.items():
    other = 'b' if domain == 'a' else 'a'
    translator = translators[domain + other]
    kept = channels.of_images(translator.channels)
    spread = [
      channels.spread(_read_canvas(scan, translator), kept) for scan in each
    ]
    unit = np.concatenate(spread)
    stages = {domain: unit, f'fake_{other}': np.empty_like(unit)}
    if cycle:
      stages[f'cycled_{domain}'] = np.empty_like(unit)
    for start in range(0, len(unit), batch_size):
      report(done, total)
      rows = slice(start, start + batch_size)
      fakes = translation.generate_batch(
        translator.generate,
        unit[rows],
        batch_size,
        channels=translator.channels,
      )
      stages[f'fake_{other}'][rows] = fakes
      if cycle:
        stages[f'cycled_{domain}'][rows] = translation.generate_batch(
          translators[other + domain].generate,
          fakes,
          batch_size,
          channels=translator.channels,
        )
      done += len(fakes)
    images |= {
      stage: (channels.to_gray(stack) + 1) / 2
      for stage, stack in stages.items()
    }
    masks[domain] = head.find_heads(images[domain])
  report(total, total)
  first = next(iter(scans.values()))[0]
  return Case(
    name=first.patient,
    patient=first.patient,
    images=images,
    masks=join_masks(masks),
    spacing=None,
  )


def join_masks(masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Heads by domain, and 'both': where either scan shows one."""
  both = np.logical_or.reduce(list(masks.values()))
  return masks | {'both': both}


def check_apart(case: Case) -> list[str]:
  """Warns if a patient's two scans are one and the same."""
  if not np.array_equal(case.images['a'], case.images['b']):
    return []
  return [
    f'both scans of {case.name} are the same, which is likely a mistake: the '
    'scores are those of one contrast held against itself'
  ]


def check_offset(case: Case) -> list[str]:
  """Warns if a patient's two scans are a voxel or more apart."""
  a, b = case.images['a'], case.images['b']
  try:
    if case.spacing:
      offset = registration.estimate_offset(a, b, case.spacing)
      voxels, unit = offset / case.spacing, 'mm'
    else:  # pictures need not be neighbours: a few, each for itself
      shown = np.flatnonzero(case.masks['both'].any(axis=(1, 2)))
      picked = shown[np.linspace(0, len(shown) - 1, _LOOKED_AT).astype(int)]
      offsets = [
        registration.estimate_offset(a[[row]], b[[row]], (1.0, 1.0, 1.0))
        for row in picked
      ]
      offset = voxels = np.median(offsets, axis=0)
      unit = 'pixels'
  except ValueError as error:
    return [f'whether the scans of {case.name} are aligned: {error}']
  if np.abs(voxels).max() < 1:
    return []
  return [
    f'the second scan of {case.name} is shifted by '
    f'{np.linalg.norm(offset):.1f} {unit}: PSNR and SSIM are not meaningful'
  ]


def _join_reports(report, count):
  """A report of `count` runs through a volume as of one, which goes forward."""
  before = 0

  def join(done, total):
    nonlocal before
    report(before + done, count * total)
    if done == total:
      before += total

  return join


def _read_on_one_grid(scans, translators, index):
  """Volumes and scalings by domain, and notes; the grid is the first one's."""
  read, scalings, notes = {}, {}, []
  for domain, scan in sorted(scans.items()):
    translator = translators['ab' if domain == 'a' else 'ba']
    settings = translator.settings[0]
    if index is not None:
      settings = settings._replace(index=index)
    read[domain], scalings[domain] = translation.read_scaled(
      scan, translator, settings
    )
    notes += [f'{scan.place}: {note}' for note in read[domain].notes]
  if len(read) == 2:
    read['b'], further = alignment.bring_onto(read['a'], read['b'])
    notes += [f'{scans["b"].place} {each}' for each in further]
  return read, scalings, notes


def _read_canvas(scan, translator):
  settings = translator.settings[0]
  volume, scaling = translation.read_scaled(scan, translator, settings)
  stack = canvas.cut(
    intensity.to_unit(volume.voxels, scaling),
    volume,
    'axial',
    settings,
    fill=float(intensity.to_unit(scaling.background, scaling)),
    center=(0.5, 0.5),
  )
  return canvas.lay(stack)
