"""T1-weighted to T2-weighted MRI and back: the article's recipe to the letter.

  python launch.py --config=configs/t1t2.py \
      --config.data.train_a=T1_DIR --config.data.train_b=T2_DIR

Source: the article "CycleGAN: T1 to T2 MRI". 256 x 256 slices in [-1, 1], the
only augmentation a left-right flip; two U-Nets with dropout; binary cross
entropy; cycle and identity losses of weight 1; discriminators of weight 0.5;
Adam with a decaying rate; 200 epochs; regular checkpoints.

Cost: about 300 GFLOP a step; an accelerator is meant. Two CPU cores take some
3 s a step.

Expect: the article reports, after 200 epochs, generator losses of 0.81 and 0.77
and discriminator losses of 0.69 and 0.67. The latter are ln 2: equilibrium,
which says nothing about the translation. Watch the held-out scores.
"""

from configs import default


def get_config():
  config = default.get_config()
  config.generator.dropout = 0.5
  return config
