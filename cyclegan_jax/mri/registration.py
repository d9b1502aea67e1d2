"""Whether two scans of one head lie on each other, and onto one grid.

Nothing here aligns scans: `estimate_offset` finds out whether somebody did.
"""

import numpy as np
from scipy import ndimage
import SimpleITK as sitk

from cyclegan_jax.mri import volume

_THIN = 30.0  # mm: a stack thinner than this tells little of its own direction
_SAMPLES = 50_000  # voxels compared at every iteration


def estimate_offset(
  first: np.ndarray, second: np.ndarray, spacing: tuple[float, float, float]
) -> np.ndarray:
  """How far the second contrast of a head is shifted against the first.

  The translation that maximizes Mattes' mutual information (Mattes et al. 2003)
  as SimpleITK computes it: any contrast against any other. Of real T1w and T2w
  scans of 1 mm, registered to one template, it says up to 0.43 mm; of a known
  shift by up to 8 mm it misses less than 0.1 mm, across slices of 4 mm less
  than 0.3 mm. The same input gives the same numbers.

  Args:
    first: [S, H, W] of one contrast.
    second: [S, H, W] of the other, on the same grid.
    spacing: millimetres between slices, rows and columns.

  Returns:
    [3] float64, millimetres along slices, rows and columns: what is at x in
    `first` is at x + offset in `second`. Along slices always 0 for a stack
    thinner than 30 mm.

  Raises:
    ValueError: shapes differ, a scan is constant, or nothing overlaps.
  """
  if first.shape != second.shape:
    raise ValueError(f'shapes differ: {first.shape} and {second.shape}')
  thin = (len(first) - 1) * spacing[0] < _THIN
  fixed = _prepare(first, spacing, thin)
  moving = _prepare(second, spacing, thin)

  method = sitk.ImageRegistrationMethod()
  # sums of several threads come out differently every time
  method.SetNumberOfThreads(1)
  method.SetNumberOfWorkUnits(1)
  method.SetMetricAsMattesMutualInformation(32)
  # jittered by the seed: on the grid itself mutual information has false peaks
  method.SetMetricSamplingStrategy(method.REGULAR)
  fraction = min(1.0, _SAMPLES / np.prod(fixed.GetSize()))
  method.SetMetricSamplingPercentage(float(fraction), 1)
  method.SetInterpolator(sitk.sitkLinear)
  method.SetShrinkFactorsPerLevel([2, 1])
  method.SetSmoothingSigmasPerLevel([2.0, 0.0])
  method.SetOptimizerAsRegularStepGradientDescent(
    learningRate=2.0,  # mm
    minStep=0.01,  # mm
    numberOfIterations=60,
    relaxationFactor=0.5,
    gradientMagnitudeTolerance=1e-6,
  )
  if thin:
    method.SetOptimizerWeights([1, 1, 0])  # x, y, z
  method.SetInitialTransform(sitk.TranslationTransform(3))
  try:
    found = method.Execute(fixed, moving)
  except RuntimeError as error:  # the only one that SimpleITK has
    raise ValueError('too little to tell in slices so few or small') from error
  return np.array(found.GetParameters()[::-1])


def resample_like(moving: volume.Volume, fixed: volume.Volume) -> np.ndarray:
  """The moving scan interpolated linearly on the fixed scan's voxels.

  Along an axis where the fixed grid is coarser by a factor f, the moving scan
  is first blurred against aliasing, by a Gaussian of full width at half maximum
  sqrt(f^2 - 1) voxels: what makes its voxel as wide as the fixed one (Cardoso
  et al. 2015). (SimpleITK refuses the not quite orthogonal axes that a NIfTI
  affine often has.)

  Args:
    moving: [I, J, K], any grid.
    fixed: gives shape and affine; its voxels are not looked at.

  Returns:
    Float array of the fixed scan's shape, float64 if the moving scan's is, else
    float32. Half a voxel and more outside of the moving scan: its minimum.
  """
  kind = np.float64 if moving.voxels.dtype == np.float64 else np.float32
  voxels = moving.voxels.astype(kind)
  lowest = voxels.min()
  to_moving = np.linalg.inv(moving.affine) @ fixed.affine
  # a fixed voxel's width along each moving axis, in moving voxels
  factors = np.linalg.norm(to_moving[:3, :3], axis=1)
  widths = np.sqrt(np.maximum(factors**2 - 1, 0))
  deviations = widths / np.sqrt(8 * np.log(2))
  voxels = ndimage.gaussian_filter(voxels, deviations, mode='nearest')

  shape = fixed.voxels.shape
  result = ndimage.affine_transform(
    voxels, to_moving, output_shape=shape, order=1, mode='nearest'
  )
  inside = ndimage.affine_transform(
    np.ones(voxels.shape, np.uint8),
    to_moving,
    output_shape=shape,
    order=0,
    mode='grid-constant',
  )
  return np.where(inside, result, lowest)


def _prepare(array, spacing, thin):
  """A small image for the registration, without the brightest outliers."""
  array = np.asarray(array, np.float32)
  array = array.clip(*np.percentile(array, (0.5, 99.5)))
  if not np.ptp(array):
    raise ValueError('a scan is constant')
  coarse = 2.0  # mm
  if thin:
    coarse = 1.0
    # SimpleITK smooths nothing less than 4 voxels wide
    array = np.pad(array, ((0, 4), (0, 0), (0, 0)), mode='edge')
  image = sitk.GetImageFromArray(array)
  image.SetSpacing([float(step) for step in spacing[::-1]])
  factors = [max(1, int(coarse / step + 0.01)) for step in image.GetSpacing()]
  if thin:
    factors[2] = 1
  return sitk.BinShrink(image, factors)
