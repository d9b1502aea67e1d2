"""One contrast to another in whole heads, skin, fat and skull included.

  python launch.py --config=configs/whole_heads.py \
      --config.data.train_a=T1_DIR --config.data.train_b=T2_DIR

The recipe of t1t2_best.py with four changes, measured on whole heads of very
few people (docs/quality.md): slices of 256 pixels of 1 mm, trained on squares
of 128 that know where in the head they are; contrast maps that go by how deep
and how high that is, where skull and fluid part, and that learn too; brightness
by the inside of the head, not by its fat; networks that stay near their maps.
Volumes alone, not pictures: those need --config.generator.contrast_look=depth.
With tens of people a contrast, try --config.generator.reach=0. Nothing in it
knows a contrast: --config.domains.

Cost: half the width and six blocks, 0.6 s a step on two CPU cores; 20 epochs of
150 slices are half an hour. On an accelerator: --config.crop_size=0
--config.generator.features=64 --config.generator.blocks=9
--config.discriminator.features=64 --config.num_epochs=100
--config.decay_epochs=50, not measured.

Expect: ventricles bright in T2w from the first sample grid on, eyes often not;
from one person's T2w, a decibel and 0.1 of SSIM more than the best map of grey
levels, an oracle.
"""

from configs import default


def get_config():
  config = default.mapped()
  config.crop_size = 128
  config.data.intensity_a = 'inside'
  config.data.intensity_b = 'inside'
  config.generator.features = 32
  config.generator.blocks = 6
  config.generator.contrast_look = 'place'
  config.generator.contrast_learns = True
  config.generator.reach = 0.08
  config.discriminator.features = 32
  config.num_epochs = 20
  config.decay_epochs = 10
  return config
