"""A CycleGAN that learns T1w to T2w in minutes on two CPU cores.

  python launch.py --config=configs/quickstart.py

Source: the CycleGAN paper's recipe made small: ResNets of six blocks and 16
features, 64 x 64 pixels, discriminators of 34 x 34 pixels, least squares, cycle
10. The identity loss is left out: it holds intensities where they are, and T1w
and T2w have opposite ones. The generators start from a contrast map by depth
that is fitted to the unpaired slices, and running averages of them translate
(docs/quality.md).

Cost: 1,440 steps, about 3 minutes on two CPU cores; a minute more the first
time, for simulating the heads and compiling.

Expect, on the held-out simulated patients, inside the head: 23 dB to T2w, 22
back, where the untranslated input has 9.8 dB and the best map of grey levels
15.2 and 19.6; dark ventricles become bright and bright ones dark.
"""

from configs import default


def get_config():
  config = default.get_config()
  config.image_size = 64
  config.data.spacing = 4.0
  config.num_epochs = 10
  config.decay_epochs = 5
  with config.unlocked():
    config.generator = default.resnet()
  config.generator.features = 16
  config.generator.blocks = 6
  config.generator.contrast_map = True
  config.generator.contrast_look = 'depth'
  config.discriminator.features = 32
  config.discriminator.layers = 2
  config.loss.kind = 'lsgan'
  config.loss.cycle = 10.0
  config.loss.identity = 0.0
  config.ema_decay = 0.995
  config.sample_every_steps = 250
  config.evaluate_every_steps = 250
  config.checkpoint_every_steps = 500
  return config
