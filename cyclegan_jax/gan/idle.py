"""Parameters that no gradient reaches: they cost memory and learn nothing.

Adam's first moment is 0 to the bit where every gradient so far was. It is asked
for whole arrays alone: single weights may rest, such as those of a 4 x 4 window
on a map of 2 x 2, half of which sees nothing but padding.
"""

from collections.abc import Callable
from collections.abc import Collection

from flax import traverse_util
import numpy as np
import optax

from cyclegan_jax.gan import state as state_lib

# A network whose last kernel starts at 0 passes nothing on in the first one.
_UPDATES = 2
_NAMED = 8  # layers in a line


def tell(
  state: state_lib.CycleGANState,
  say: Callable[[str], object],
  *,
  resting: Collection[str] = (),
) -> bool:
  """Says of each network which layers got no gradient, if there are any.

  Args:
    state: of a new training, after a step.
    say: called with a line.
    resting: modules that are not meant to learn: nothing is said of them.

  Returns:
    Whether enough updates were made to tell; steps that are left out, because
    something in them is not finite, are none.
  """
  updates = optax.tree_utils.tree_get(
    state.gen_ab.opt_state, 'count', filtering=_is_of_adam
  )
  if int(updates) < _UPDATES:
    return False
  for name in state_lib.NETWORKS:
    moments = optax.tree_utils.tree_get(getattr(state, name).opt_state, 'mu')
    moments = traverse_util.flatten_dict(moments)
    # On the host: there is nothing to compile, and it is done once.
    still = {
      path: path[0] not in resting and not np.asarray(x).any()
      for path, x in moments.items()
    }
    line = describe(moments, still)
    if line:
      say(f'{name}: {line}')
  return True


def describe(shapes: dict, still: dict) -> str:
  """What is said of a network, or nothing where all of it learns.

  Args:
    shapes: of its parameters, by paths, which are tuples of names.
    still: of each, by the same, whether it got no gradient.
  """
  idle = [path for path in shapes if still[path]]
  if not idle:
    return ''
  count = sum(int(np.prod(shapes[path].shape)) for path in idle)
  whole = sum(int(np.prod(each.shape)) for each in shapes.values())
  layers = list(dict.fromkeys('/'.join(path[:-1]) for path in idle))
  named = ', '.join(layers[:_NAMED])
  if len(layers) > _NAMED:
    named += f' and {len(layers) - _NAMED} more'
  return (
    f'{count:,} of {whole:,} parameters, {count / whole:.1%}, got no gradient '
    f'in the first {_UPDATES} updates, and may never learn: {named}'
  )


def _is_of_adam(path, value):
  """Of several counts in an optimizer, the one beside the moments."""
  del value
  return any(
    getattr(part, 'tuple_name', '') == 'ScaleByAdamState' for part in path
  )
