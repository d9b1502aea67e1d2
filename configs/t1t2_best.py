"""T1-weighted to T2-weighted MRI with what was found to translate best.

  python launch.py --config=configs/t1t2_best.py \
      --config.data.train_a=T1_DIR --config.data.train_b=T2_DIR

The CycleGAN paper's ResNet and least squares, with four changes: generators
start from a contrast map that is fitted to the training slices without pairs;
no identity loss, which holds intensities where they are, and T1w and T2w have
opposite ones; a cycle loss of weight 3, not 10, which with that start does
better; running averages of the generators translate. Measured in
docs/quality.md, where stripped brains did better still with 1 and whole heads
worse. Heads with a skull are for whole_heads.py or, as pictures,
--config.generator.contrast_look=depth.

Cost: about 1,300 GFLOP a step; an accelerator is meant. On two CPU cores, for
400 slices, in an hour: --config.image_size=128 --config.generator.features=32
--config.generator.blocks=6 --config.discriminator.features=32
--config.num_epochs=15 --config.decay_epochs=8.

Expect: the right polarity from the first sample grid on; with that command, two
people and a third never seen, 20 dB to T2w and 19 dB back. The log says before
training how much the contrast map explains; where it is left out, look at the
grids.
"""

from configs import default


def get_config():
  return default.mapped()
