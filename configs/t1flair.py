"""T1-weighted MRI to FLAIR and back.

  python launch.py --config=configs/t1flair.py \
      --config.data.train_a=T1_DIR --config.data.train_b=FLAIR_DIR

The recipe of t1t2_best.py under the names of other contrasts, with a contrast
map by depth: nothing in it knows them (docs/flair.md). For T2w to FLAIR:
--config.domains=T2w,FLAIR and folders of T2w. Without folders of your own:
simulated heads, whose FLAIR is a spin echo with an inversion before it that
nulls fluid.

Cost: that of t1t2_best.py. Expect, at the size of the quickstart on simulated
heads: 21.6 dB both ways, where the untranslated input has 14.
"""

from configs import default


def get_config():
  config = default.mapped()
  config.domains = ('T1w', 'FLAIR')
  config.generator.contrast_look = 'depth'
  config.phantom.sequence_b = (9000.0, 100.0, 2550.0)  # TR, TE, TI, ms
  return config
