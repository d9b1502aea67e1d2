"""Names for the arrays that travel through the package."""

from typing import Literal

import jax

Images = jax.Array  # [B, H, W, C] float32 in [-1, 1]
Scores = jax.Array  # [B, rows, cols, 1] logits, one for each patch
Scalar = jax.Array  # []
Key = jax.Array  # a typed PRNG key
Batch = dict[str, Images]  # {'a': [B, H, W, C], 'b': [B, H, W, C]}
Metrics = dict[str, Scalar]
Direction = Literal['ab', 'ba']
