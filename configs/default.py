"""Every field there is. Recipes start from here; the command line has the last
word: `--config.batch_size=4`, `--config.data.train_a=DIR`.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Returns the defaults, locked: an unknown field is an error."""
  config = ml_collections.ConfigDict()

  # Of the initial weights, the order of slices, flips and dropout.
  config.seed = 0
  # An epoch shows as many images as the larger domain has.
  config.num_epochs = 200
  # The learning rate falls linearly to 0 over the last so many epochs.
  config.decay_epochs = 100
  # Stop after so many steps; 0: after num_epochs. The decay does not move.
  config.max_steps = 0
  # Images of each domain a step, over all devices together.
  config.batch_size = 1
  # Sides of the square the networks see, pixels.
  config.image_size = 256
  # Train on random squares of so many pixels out of the slices: less work and
  # memory a step, while whole slices are translated. 0: on whole slices.
  config.crop_size = 0
  # Channels of the images: 1, gray; 3, pictures in colour. Scans and gray
  # pictures are repeated.
  config.channels = 1
  # What people call domain a and domain b.
  config.domains = ('T1w', 'T2w')
  # How a step is spread over several devices: 'pmap' or 'shard_map'.
  config.parallel = 'pmap'
  # Whether several processes make up the run: 'auto' asks SLURM, Open MPI and
  # TPU pods; 'off' is alone; 'HOST:PORT,COUNT,INDEX' says where the first one
  # listens, how many there are and which this is.
  config.distributed = 'auto'
  # In what convolutions are computed: 'float32', or 'bfloat16' for accelerators
  # that are built for it: half the memory of activations. Parameters, losses
  # and the statistics of normalisations stay float32.
  config.compute_dtype = 'float32'
  # How accelerators round what the convolutions of training read: 'default' as
  # they do by themselves, TF32 on a GPU and bfloat16 on a TPU; 'high' is TF32
  # and nearly float32; 'highest' is float32. A CPU computes float32 anyway, and
  # translation is float32 everywhere.
  config.precision = 'default'
  # Whether a run on a GPU that is stopped and gone on with is, to the bit, the
  # one that was not: sums in a certain order, slower, and its compiled program
  # kept in the workdir, for the same devices and versions. On CPU it always is,
  # with the same versions on a processor of the same kind.
  config.deterministic = False
  # Divide every batch into so many parts and go through them one after the
  # other: the same step in the memory of a smaller batch.
  config.accumulate_steps = 1
  # Make the generators' activations twice instead of keeping them: more work,
  # less memory.
  config.remat = False
  # Translate with running averages of the generators, which lag behind by some
  # 1 / (1 - ema_decay) steps: 0.999. 0: with the newest parameters.
  config.ema_decay = 0.0
  # A step whose loss or gradient is no number is left out; so many of them one
  # after another end the run.
  config.max_bad_steps = 100
  # Where traced and compiled programs are kept for the next start; empty: in
  # the user's cache folder; 'off': nowhere, nor are contrast maps.
  # JAX_COMPILATION_CACHE_DIR wins over a folder.
  config.compile_cache = ''

  # Begin from the networks of another run: its workdir, or a file of
  # --mode=pack (docs/models.md). Empty: anew.
  config.start_from = ''

  config.data = ml_collections.ConfigDict()
  # Folders of scans, searched through their subfolders, or patterns such as
  # 'scans/*/T1.nii.gz': NIfTI, DICOM, NRRD, MetaImage, .npy, PNG, JPEG, TIFF.
  # Nothing is squashed. Both empty: the embedded simulated heads.
  config.data.train_a = ''
  config.data.train_b = ''
  # Held-out scans of other people; the same name, or the same patient, in both
  # is a pair that is scored.
  config.data.test_a = ''
  config.data.test_b = ''
  # Slices of which a head fills a smaller share are left out of training: blank
  # images teach nothing.
  config.data.min_foreground = 0.02
  # Which part of each volume to train on, as shares of its slices: (0.3, 0.8).
  config.data.slice_range = (0.0, 1.0)
  # Along which planes volumes are sliced: 'axial', 'coronal', 'sagittal'.
  config.data.planes = ('axial',)
  # Millimetres between the pixels the networks see. A slice is resampled to it,
  # then padded or cropped about the head to image_size. Pictures, whose spacing
  # is not known, are padded to a square and resized to image_size instead.
  config.data.spacing = 1.0
  # How a volume's intensities become [-1, 1], fitted to each volume:
  # 'percentile' of the foreground; 'inside', by what lies deep in the head, as
  # people differ in their fat; 'zscore', 'minmax', or 'window': fixed, in the
  # scanner's units, for CT. Pictures have black and white.
  config.data.intensity_a = 'percentile'
  config.data.intensity_b = 'percentile'
  config.data.window_a = (-1000.0, 1000.0)
  config.data.window_b = (-1000.0, 1000.0)
  # Which volume of 4-D files, from 0; -1 refuses such files.
  config.data.volume = -1
  # Train on random crops of slices made zoom times as large; 1: no crop.
  # The flip, left-right with probability one half, is always on, but for
  # sagittal slices.
  config.data.zoom = 1.0
  # Threads that read ahead.
  config.data.threads = 1
  # Where decoded slices, simulated heads and contrast maps are kept for the
  # next run; empty: the user's cache folder. It can be deleted between runs.
  config.data.cache = ''

  config.phantom = ml_collections.ConfigDict()
  # Simulated people in each training domain; none is in both.
  config.phantom.people = 24
  # Further people whose slices come in exact pairs, for the scores.
  config.phantom.test_people = 6
  # Slices of each person.
  config.phantom.slices = 6
  # How they are scanned: (TR, TE) of a spin echo, ms; (TR, TE, TI) with an
  # inversion before it; or what air, grey and white matter, fluid, lesions,
  # bone, marrow, skin and fat come out as, nine numbers, such as HU of CT.
  config.phantom.sequence_a = (500.0, 14.0)
  config.phantom.sequence_b = (4000.0, 100.0)

  # Of both generators; `unet` or `resnet` below.
  config.generator = unet()

  # Of both discriminators: PatchGAN, discriminators.PatchDiscriminator.
  config.discriminator = ml_collections.ConfigDict()
  # Width of the first layer.
  config.discriminator.features = 64
  # Strided layers: 3 judge patches of 70 x 70 pixels, 2 of 34 x 34.
  config.discriminator.layers = 3
  # Slope of the leaky ReLU.
  config.discriminator.leak = 0.2
  # Whether normalisations learn scale and offset.
  config.discriminator.affine = False

  config.loss = ml_collections.ConfigDict()
  # Adversarial loss: 'bce' (cross entropy) or 'lsgan' (least squares).
  config.loss.kind = 'bce'
  # Weight of each of the two cycle losses.
  config.loss.cycle = 1.0
  # Weight of each of the two identity losses; 0 leaves them out.
  config.loss.identity = 1.0
  # Weight of a discriminator's loss against its generator's.
  config.loss.discriminator = 0.5

  config.optimizer = ml_collections.ConfigDict()
  # Adam's rate before the decay.
  config.optimizer.learning_rate = 2e-4
  # Adam's decay of the first and second moment.
  config.optimizer.beta1 = 0.5
  config.optimizer.beta2 = 0.999

  # Past fakes of each domain kept for the discriminators; 0: only new ones.
  config.pool_size = 0

  # Steps between two lines of the log, sample grids, evaluations (without
  # pairs, and on the held-out pairs if there are any), checkpoints.
  config.log_every_steps = 50
  config.sample_every_steps = 500
  config.evaluate_every_steps = 1000
  config.checkpoint_every_steps = 1000
  # Newest checkpoints kept.
  config.keep_checkpoints = 3
  return config.lock()


def mapped() -> ml_collections.ConfigDict:
  """The defaults with what was found to translate best (docs/quality.md).

  A ResNet that starts from a contrast map, least squares, cycle 3, no identity
  loss, running averages: what recipes of any two contrasts begin with.
  """
  config = get_config()
  with config.unlocked():
    config.generator = resnet()
  config.generator.contrast_map = True
  config.num_epochs = 100
  config.decay_epochs = 50
  config.loss.kind = 'lsgan'
  config.loss.cycle = 3.0
  config.loss.identity = 0.0
  config.ema_decay = 0.995
  return config


def unet() -> ml_collections.ConfigDict:
  """A section `generator`: generators.UNet."""
  generator = ml_collections.ConfigDict()
  generator.network = 'unet'
  # Width of the first level; it doubles up to eight times that.
  generator.features = 64
  # Halvings; 0: as many as image_size allows, at most 8.
  generator.levels = 0
  # Rate in the first three levels of the decoder.
  generator.dropout = 0.0
  # Slope of the encoder's leaky ReLU, and of what the skips carry.
  generator.leak = 0.2
  generator.skip_leak = 0.0
  # Whether normalisations learn scale and offset.
  generator.affine = False
  # Whether the innermost level is normalised (a 1 x 1 map is erased by it).
  generator.norm_innermost = False
  # 'instance'; 'folded' is of what --mode=import makes of batch normalisation,
  # and cannot be trained.
  generator.norm = 'instance'
  return generator


def resnet() -> ml_collections.ConfigDict:
  """A section `generator`: generators.ResNet."""
  generator = ml_collections.ConfigDict()
  generator.network = 'resnet'
  # Width at full resolution; the blocks have four times that.
  generator.features = 64
  # Residual blocks.
  generator.blocks = 9
  # Rate between the two layers of each block.
  generator.dropout = 0.0
  # As of the U-Net.
  generator.norm = 'instance'
  # Start from a map of how tissues look in one contrast and the other, fitted
  # to the training slices without pairs (contrast/fit.py; ecological inference,
  # after Goodman 1953).
  generator.contrast_map = False
  # What tells pixels of one intensity apart there: the mean of their
  # 'surroundings'; their 'depth' below the head's outline; their 'place', which
  # is the depth and how high in the head the slice is, and needs volumes.
  generator.contrast_look = 'surroundings'
  # Whether training changes the map too: discriminators, who see no pairs, draw
  # it away from the truth more often than towards it (docs/quality.md).
  generator.contrast_learns = False
  # How far the network may move from that start, before tanh: 0.08 where few
  # people teach it, of whom it learns too much; 0: as far as it likes.
  generator.reach = 0.0
  return generator
