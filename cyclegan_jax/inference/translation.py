"""A generator applied to whole scans: NumPy in, NumPy out, whoever computes."""

from collections.abc import Callable
import dataclasses

import numpy as np

from cyclegan_jax import version
from cyclegan_jax.mri import canvas
from cyclegan_jax.mri import channels as channels_lib
from cyclegan_jax.mri import framing
from cyclegan_jax.mri import intensity
from cyclegan_jax.mri import levels as levels_lib
from cyclegan_jax.mri import volume as volume_lib
from cyclegan_jax.mri.formats import dispatch

Generate = Callable[[np.ndarray], np.ndarray]
Report = Callable[[int, int], None]

NOTICE = 'Synthetic: made by a neural network. Not for diagnosis.'
# A slice with a smaller share of head shows none: it stays as it is.
_BLANK = 0.001


@dataclasses.dataclass(frozen=True)
class Translator:
  """One direction of a run, ready to translate.

  Attributes:
    generate: images [B, H, W, C] in [-1, 1] to images, on the host.
    direction: 'ab' or 'ba'.
    domains: names of the source's and the target's contrast.
    multiple: what H and W must be divisible by.
    settings: of slices of the source's and of the target's domain.
    intensities: typical of the source's and of the target's domain.
    step: of the checkpoint.
    run: name of the workdir.
    network: name of the generator's class.
    channels: that `generate` takes, as in `mri.channels`.
    devices: among which `generate` divides B, best a multiple of it.
  """

  generate: Generate
  direction: str
  domains: tuple[str, str]
  multiple: int
  settings: tuple[framing.SliceSettings, framing.SliceSettings]
  intensities: tuple[intensity.Intensities, intensity.Intensities]
  step: int
  run: str
  network: str
  channels: int = 1
  devices: int = 1

  def provenance(self) -> volume_lib.Provenance:
    """What a scan that it makes says of itself."""
    source, target = self.domains
    return volume_lib.Provenance(
      source=source,
      target=target,
      details={
        'synthetic': True,
        'notice': NOTICE,
        'direction': f'{source} to {target} ({self.direction})',
        'model': f'CycleGAN, {self.network} generator',
        'run': self.run,
        'checkpoint': self.step,
        'software': version.SOFTWARE,
      },
    )


def translate_volume(
  generate: Generate,
  volume: volume_lib.Volume,
  *,
  batch_size: int,
  settings: framing.SliceSettings,
  multiple: int = 1,
  scaling: intensity.Scaling | None = None,
  target: intensity.Scaling | None = None,
  channels: int = 1,
  report: Report = lambda done, total: None,
) -> volume_lib.Volume:
  """A volume with the voxels of another contrast on the same grid.

  Args:
    generate: images [B, H, W, C] in [-1, 1] to as many of that size.
    volume: to translate.
    batch_size: B.
    settings: the networks' scale, and the planes to average over.
    multiple: what H and W must be divisible by.
    scaling: of the source's intensities; None: fitted to them.
    target: of the result's; None: that of the source.
    channels: that it takes, as in `mri.channels`.
    report: called with the slices done and their number.

  Returns:
    The source with float32 voxels, as many, in the units of `target`.
  """
  scaling = scaling or canvas.scale(volume, settings, picture=False)
  unit = translate_units(
    generate,
    volume,
    scaling,
    batch_size=batch_size,
    settings=settings,
    multiple=multiple,
    channels=channels,
    report=report,
  )
  voxels = intensity.from_unit(unit, target or scaling)
  return dataclasses.replace(volume, voxels=voxels)


def translate_scaled(
  translator: Translator,
  volume: volume_lib.Volume,
  scaling: intensity.Scaling,
  *,
  settings: framing.SliceSettings,
  batch_size: int,
  report: Report = lambda done, total: None,
) -> tuple[volume_lib.Volume, intensity.Scaling]:
  """A volume in the other contrast, and the scaling of its intensities.

  A picture's white stays white; a scan gets units as are typical of the other
  contrast.

  Args:
    translator: of its domain.
    volume: to translate.
    scaling: of its intensities, as `read_scaled` has it.
    settings: the translator's, or changed by the user.
    batch_size: slices at a time, on each device.
    report: called with the slices done and their number.
  """
  pictured = scaling.kind == 'white'
  target = scaling if pictured else translator.intensities[1].scaling
  fake = translate_volume(
    translator.generate,
    volume,
    batch_size=batch_size * translator.devices,
    settings=settings,
    multiple=translator.multiple,
    scaling=scaling,
    target=target,
    channels=translator.channels,
    report=report,
  )
  return fake, target


def translate_units(
  generate: Generate,
  volume: volume_lib.Volume,
  scaling: intensity.Scaling,
  *,
  batch_size: int,
  settings: framing.SliceSettings,
  multiple: int,
  channels: int = 1,
  report: Report = lambda done, total: None,
) -> np.ndarray:
  """As `translate_volume`, but voxels in the network's [-1, 1]."""
  unit = intensity.to_unit(volume.voxels, scaling)
  stacks = {
    plane: canvas.cut(
      unit,
      volume,
      plane,
      settings,
      fill=float(intensity.to_unit(scaling.background, scaling)),
      multiple=multiple,
    )
    for plane in settings.planes
  }
  total = sum(len(stack.images) for stack in stacks.values())
  done = 0
  result = np.zeros_like(unit)
  for plane, stack in stacks.items():
    images = np.array(stack.images)
    # A blank slice has no anatomy to translate, and the networks, which never
    # saw one, would make some up.
    shares = stack.heads.mean(axis=(1, 2))
    rows = np.flatnonzero(shares >= _BLANK)
    heights = levels_lib.measure_levels(shares)
    done += len(images) - len(rows)
    for start in range(0, len(rows), batch_size):
      report(done, total)
      chosen = rows[start : start + batch_size]
      fakes = generate_batch(
        generate,
        canvas.lay(stack, chosen),
        batch_size,
        channels=channels,
        levels=heights[chosen],
      )
      images[chosen] = canvas.lift(fakes, stack)
      done += len(chosen)
    result += volume_lib.from_plane(images, volume.affine, plane)
  report(total, total)
  return (result / len(stacks)).clip(-1, 1)


def generate_batch(
  generate: Generate,
  images: np.ndarray,
  batch_size: int,
  *,
  channels: int = 1,
  levels: np.ndarray | None = None,
) -> np.ndarray:
  """At most `batch_size` slices, filled up: one shape is compiled.

  Args:
    generate: images [B, H, W, C] in [-1, 1] to as many of that size.
    images: [N, H, W], or [N, H, W, C]; gray ones stay gray.
    batch_size: B.
    channels: that it takes, as in `mri.channels`.
    levels: of the slices, [N] in [0, 1], if it asks for them; None: the middle.
  """
  rows = np.resize(np.arange(len(images)), batch_size)
  filled = channels_lib.spread(
    images[rows], channels, None if levels is None else levels[rows]
  )
  fakes = generate(filled)[: len(images)]
  return channels_lib.to_gray(fakes) if images.ndim == 3 else fakes


def read_scaled(
  scan: dispatch.Scan,
  translator: Translator,
  settings: framing.SliceSettings,
  volume: volume_lib.Volume | None = None,
) -> tuple[volume_lib.Volume, intensity.Scaling]:
  """A scan and the scaling of its intensities.

  A 16-bit or float picture alone does not say what is white: if the networks
  were trained on such pictures, theirs is taken.

  Args:
    scan: to read.
    translator: of its domain.
    settings: the translator's, or changed by the user.
    volume: the scan, where it has been read already, in gray.

  Raises:
    UserError: naming the file and what is wrong with it.
  """
  kept = channels_lib.of_images(translator.channels)
  if volume is None or (scan.is_picture and kept > 1):
    volume = dispatch.read_scan(scan, index=settings.index, channels=kept)
  typical = translator.intensities[0].scaling
  deep = scan.is_picture and volume.voxels.dtype != np.uint8
  if (
    deep
    and translator.intensities[0].pictures
    and typical != intensity.scale_to_white(255)
  ):
    return volume, typical
  with dispatch.naming(scan):
    return volume, canvas.scale(volume, settings, picture=scan.is_picture)
