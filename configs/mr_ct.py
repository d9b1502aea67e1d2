"""T1-weighted MRI to CT and back, in Hounsfield units.

  python launch.py --config=configs/mr_ct.py \
      --config.data.train_a=MR_DIR --config.data.train_b=CT_DIR

The recipe of t1t2_best.py with a contrast map that learns too, and CT scaled by
a fixed window, -1000 HU black and 1500 HU white in every scan; translations
come back in HU (docs/ct.md). Without folders of your own: simulated heads,
whose CT is what their tissues have in HU.

Cost: that of t1t2_best.py. Expect, at the size of the quickstart on simulated
heads: 26.1 dB to CT, where the best map of grey levels has 21.0; back, 16.6,
where that map has 18.7: CT does not show what T1w does. Not measured on real
scans yet.
"""

from configs import default


def get_config():
  config = default.mapped()
  config.domains = ('T1w', 'CT')
  config.generator.contrast_learns = True
  config.data.intensity_b = 'window'
  config.data.window_b = (-1000.0, 1500.0)
  # HU of air, grey and white matter, fluid, lesions, bone, marrow, skin, fat.
  config.phantom.sequence_b = (
    *(-1000.0, 38.0, 29.0, 8.0, 26.0, 1300.0, 450.0, 50.0, -90.0),
  )
  return config
