"""Seconds on any machine: every part of a run at its smallest. What tests run.

  python launch.py --config=configs/smoke.py

Expect: nothing of the translation; 8 steps, a sample grid, a checkpoint.
"""

from configs import default


def get_config():
  config = default.get_config()
  config.image_size = 32
  config.data.spacing = 8.0
  config.num_epochs = 2
  config.decay_epochs = 1
  config.phantom.people = 2
  config.phantom.test_people = 1
  config.phantom.slices = 2
  config.generator.features = 4
  config.generator.levels = 3
  config.generator.dropout = 0.5
  config.discriminator.features = 4
  config.discriminator.layers = 1
  config.pool_size = 2
  config.log_every_steps = 2
  config.sample_every_steps = 4
  config.evaluate_every_steps = 4
  config.checkpoint_every_steps = 4
  return config
