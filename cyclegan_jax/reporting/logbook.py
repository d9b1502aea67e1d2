"""What a run tells: its log, the screen, warnings.

Nothing is fetched from the devices between two lines of the log.
"""

from collections.abc import Callable
import copy
import math
from typing import Any

import jax
from PIL import Image
import tqdm

from cyclegan_jax import console
from cyclegan_jax.reporting import averages as averages_lib
from cyclegan_jax.reporting import bad_steps
from cyclegan_jax.reporting import outlet as outlet_lib
from cyclegan_jax.reporting import pace

_WON = 0.05  # a discriminator's loss; at equilibrium 0.25, with bce 0.69
_WON_STEPS = 500


class Logbook:
  """Collects the metrics of steps and writes them down when they are due.

  Sums over the open log window and the open epoch are part of a checkpoint (see
  `sums`), so that a resumed run writes what an uninterrupted one would have.
  """

  def __init__(
    self,
    outlet: outlet_lib.Files | outlet_lib.Nowhere,
    *,
    start: int,
    num_steps: int,
    recipe_steps: int,
    steps_per_epoch: int,
    batch_size: int,
    log_every: int,
    schedule: Callable[[int], Any],
    on_cpu: bool,
    name_slices: Callable[[int], str],
    max_bad_steps: int,
    sums: dict | None = None,
  ):
    """Opens the log of a run after its step `start`.

    Args:
      outlet: where it goes; closed with the log.
      start: steps done before.
      num_steps: after which this run ends.
      recipe_steps: after which it would end if it were not cut short.
      steps_per_epoch: an epoch's averages are written after so many.
      batch_size: images of each domain a step, for the rate shown.
      log_every: steps between two lines.
      schedule: learning rate of the update with this index.
      on_cpu: whether advice for a run of days is in place.
      name_slices: those that a step saw, for a message.
      max_bad_steps: that may follow each other.
      sums: what `sums` returned when the checkpoint at `start` was saved.
    """
    self._outlet = outlet
    self._num_steps = num_steps
    self._steps_per_epoch = steps_per_epoch
    self._batch_size = batch_size
    self._log_every = log_every
    self._schedule = schedule
    self._sums = sums or {'window': {}, 'epoch': {}}
    self._bad = self._sums.pop('bad', {})  # `bad_steps.count`
    self._told = set()  # what a longer run drops
    self._warned = set(self._sums.pop('warned', ()))
    # Steps that a discriminator's loss has been below _WON.
    self._won = self._sums.pop('won', {})
    self._name_slices = name_slices
    self._max_bad_steps = max_bad_steps
    self._pending = []
    self._step = start
    self._bar = tqdm.tqdm(
      total=num_steps,
      initial=start,
      unit='step',
      dynamic_ncols=True,
      disable=not console.on_terminal(),
    )
    self._pace = pace.Pace(
      num_steps=num_steps, recipe_steps=recipe_steps, on_cpu=on_cpu
    )

  def record(self, step: int, metrics: dict):
    """Notes the metrics of a step; writes a line and an epoch when due.

    Raises:
      FloatingPointError: after too many steps that were not applied.
    """
    self._step = step
    self._pending.append(metrics)
    log_due = step % self._log_every == 0
    epoch_due = step % self._steps_per_epoch == 0
    if log_due or epoch_due or not self._pace.estimated:
      self._fetch()
    self._pace.tick(step)
    self._bar.update(1)
    if log_due:
      self._write_window()
    if epoch_due:
      self._write_epoch()

  def images(self, step: int, picture: Image.Image):
    """Keeps a sample grid."""
    self._outlet.draw(step, picture)
    self.pause()

  def evaluation(self, step: int, scores: dict, *, final: bool):
    """Writes what `monitor` measures and, if there are any, scores of pairs.

    Args:
      step: done.
      scores: metric to number.
      final: this evaluation is due only because the run ends here; a longer
        run drops its line.

    Raises:
      FloatingPointError: if translations are no numbers.
    """
    _check_finite(scores, step)
    self._write(step, 'evaluation', scores, final=final)
    if 'distance' in scores:
      told = (
        f'should look like: a to b {scores["distance_ab"]:.3f}, '
        f'b to a {scores["distance_ba"]:.3f}'
      )
    else:
      told = 'should look like: unknown, the two domains share none'
    console.say(
      f'step {step}  without pairs, distance from what each place of a head '
      + told
    )
    if 'psnr_ab' in scores:
      console.say(
        f'step {step}  held-out pairs, inside the head (PSNR dB / SSIM): '
        f'a to b {scores["psnr_ab"]:.1f} / {scores["ssim_ab"]:.2f}, '
        f'b to a {scores["psnr_ba"]:.1f} / {scores["ssim_ba"]:.2f}, '
        f'untranslated {scores["psnr_unchanged"]:.1f} / '
        f'{scores["ssim_unchanged"]:.2f}'
      )
    self.pause()

  def warn(self, troubles: dict[str, str], *, final: bool = False):
    """Says what is wrong in words, by what it is: of each kind once.

    Args:
      troubles: words by what they are about.
      final: found only because the run ends here: a longer run drops it.
    """
    for kind, words in troubles.items():
      said = kind in self._warned | self._told
      if kind in self._warned or (final and said):
        continue
      if not said:
        console.say(f'warning: step {self._step}: {words}')
      told = {'about': kind, 'text': words}
      self._write(self._step, 'warning', told, final=final)
      (self._told if final else self._warned).add(kind)

  def sums(self) -> dict:
    """The sums of the open window and epoch, for a checkpoint.

    A copy, for a checkpoint is written while later steps are summed up.
    """
    self._fetch()
    sums = self._sums | ({'bad': self._bad} if self._bad else {})
    if self._warned:
      sums |= {'warned': sorted(self._warned)}
    if any(self._won.values()):
      sums |= {'won': self._won}
    return copy.deepcopy(sums)

  def pause(self):
    """Leaves the time since the last step out of the rate."""
    self._pace.pause()

  def close(self):
    """Writes down what is left and closes the files."""
    try:
      self._fetch()
      if self._step == self._num_steps and self._sums['window']:
        self._write_window(final=True)
    finally:
      self._bar.close()
      self._outlet.close()

  def _fetch(self):
    pending, self._pending = self._pending, []
    first = self._step - len(pending) + 1
    for step, metrics in enumerate(jax.device_get(pending), first):
      metrics = {name: float(value) for name, value in metrics.items()}
      trouble = bad_steps.find(metrics)
      del metrics['skipped']
      for sums in self._sums.values():
        averages_lib.add(sums, metrics, skipped=trouble is not None)
      self._bad = bad_steps.count(self._bad, step, trouble)
      if self._bad:
        self._tell_bad()

  def _tell_bad(self):
    """Says where a row of bad steps begins; ends the run if it is too long."""
    count, first, trouble = self._bad.values()
    begun = self._sums['window']['skipped'] == 1  # told once a window
    ended = count >= self._max_bad_steps
    if not (begun or ended):
      return
    seen = f'{trouble} at step {first}, which saw {self._name_slices(first)}'
    if begun:
      console.say(f'warning: {seen}: the step is not applied')
    if ended:
      raise FloatingPointError(
        f'{seen}, and no later step could be applied, {count} in all; look at '
        'these slices, or start again in another --workdir with a lower '
        '--config.optimizer.learning_rate; checkpoints hold what was learnt '
        'before'
      )

  def _write_window(self, final=False):
    averages = averages_lib.take(self._sums['window'])
    averages['learning_rate'] = float(self._schedule(self._step - 1))
    steps_per_second = self._pace.take_window()
    if steps_per_second is not None:
      averages['images_per_second'] = self._batch_size * steps_per_second
    self._write(self._step, 'step', averages, final=final)
    if not final:  # a longer run has no such window
      self._watch_discriminators(averages)
    rate = averages.get('images_per_second')
    rate = '' if rate is None else f'  {rate:.3g} images/s'
    told = averages_lib.describe_briefly(averages)
    self._bar.set_postfix_str(f'{told}{rate}')
    if self._bar.disable:
      left = self._pace.left(self._step)
      left = '' if left is None else f'  {console.format_duration(left)} left'
      console.say(
        f'step {self._step}/{self._num_steps}  '
        f'{averages_lib.describe(averages)}{rate}{left}'
      )

  def _watch_discriminators(self, averages):
    for name in averages_lib.TOTALS[2:]:
      below = averages.get(name, _WON) < _WON
      self._won[name] = self._won.get(name, 0) + self._log_every if below else 0
      if self._won[name] >= _WON_STEPS:
        words = (
          f'discriminator {name[-1]} has won: its loss has been below {_WON} '
          f'for {self._won[name]} steps, and its generator learns little from '
          'it; more training slices or fewer --config.discriminator.features '
          'may help'
        )
        self.warn({name: words})

  def _write_epoch(self):
    averages = averages_lib.take(self._sums['epoch'])
    self._write(self._step, 'epoch', averages)
    epoch = self._step // self._steps_per_epoch
    console.say(f'epoch {epoch} averages  {averages_lib.describe(averages)}')

  def _write(self, step, kind, values, final=False):
    epoch = (step - 1) // self._steps_per_epoch + 1
    line = {'step': step, 'epoch': epoch, 'kind': kind, **values}
    if final:
      line['final'] = True
    self._outlet.write(line)


def _check_finite(values, step):
  for name, value in values.items():
    if not math.isfinite(value):
      raise FloatingPointError(
        f'{name} is {value} at step {step}; start again in another '
        '--workdir with a lower --config.optimizer.learning_rate, or look '
        'for broken slices'
      )
