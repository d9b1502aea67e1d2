"""T1-weighted MRI to FLAIR and back.

  python launch.py --config=configs/t1flair.py \
      --config.data.train_a=T1_DIR --config.data.train_b=FLAIR_DIR

The recipe of t1t2_best.py under the names of other contrasts: nothing in it
knows them (docs/flair.md). For T2w to FLAIR: --config.domains=T2w,FLAIR and
folders of T2w. Without folders of your own: simulated heads, whose FLAIR is a
spin echo with an inversion before it that nulls fluid.

Cost and expectation: docs/quality.md.
"""

from configs import default


def get_config():
  config = default.get_config()
  config.domains = ('T1w', 'FLAIR')
  with config.unlocked():
    config.generator = default.resnet()
  config.generator.contrast_map = True
  config.phantom.sequence_b = (9000.0, 100.0, 2550.0)  # TR, TE, TI, ms
  config.num_epochs = 100
  config.decay_epochs = 50
  config.loss.kind = 'lsgan'
  config.loss.cycle = 3.0
  config.loss.identity = 0.0
  config.ema_decay = 0.995
  return config
