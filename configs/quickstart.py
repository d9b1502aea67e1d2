"""A CycleGAN that learns T1w to T2w in minutes on two CPU cores.

python launch.py --config=configs/quickstart.py
"""

from configs import default


def get_config():
  config = default.get_config()
  config.image_size = 64
  config.num_epochs = 20
  config.decay_epochs = 10
  with config.unlocked():
    config.generator = default.resnet()
  config.generator.features = 16
  config.generator.blocks = 6
  config.discriminator.features = 32
  config.discriminator.layers = 2
  config.loss.kind = 'lsgan'
  config.loss.cycle = 10.0
  config.loss.identity = 0.0
  config.log_every_steps = 50
  config.sample_every_steps = 250
  config.evaluate_every_steps = 250
  config.checkpoint_every_steps = 500
  return config
