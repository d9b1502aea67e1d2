"""T1-weighted to T2-weighted MRI with the recipe of the CycleGAN paper's code.

  python launch.py --config=configs/t1t2_resnet.py \
      --config.data.train_a=T1_DIR --config.data.train_b=T2_DIR

Source: junyanz/pytorch-CycleGAN-and-pix2pix, its defaults: ResNet with nine
blocks, least squares, cycle 10, identity 5, history of 50 fakes, slices loaded
at 286 and cropped to 256 at random, 100 epochs at 2e-4 and 100 of decay. One
difference: there the last epoch runs at rate 0; here it still learns.

Cost: about 1,900 GFLOP a step; an accelerator is meant.

Expect: sharp outlines early. The identity loss holds the intensities where they
are for thousands of steps; check the held-out scores for the polarity.
"""

from configs import default


def get_config():
  config = default.get_config()
  with config.unlocked():
    config.generator = default.resnet()
  config.data.zoom = 286 / 256
  config.loss.kind = 'lsgan'
  config.loss.cycle = 10.0
  config.loss.identity = 5.0
  config.pool_size = 50
  return config
