"""Digests of what a checkpoint holds: what has changed since is noticed."""

from collections.abc import Mapping
import hashlib
import json
from typing import Any

import numpy as np

KEY = 'digests'  # in what JSON holds of a checkpoint
_LENGTH = 32  # of SHA-256 in hexadecimal: 128 bits


def of_array(array: np.ndarray) -> str:
  """SHA-256 of type, shape and content, cut to 128 bits."""
  array = np.ascontiguousarray(array)
  content = hashlib.sha256(f'{array.dtype} {array.shape}'.encode())
  content.update(array.data)
  return content.hexdigest()[:_LENGTH]


def of_json(content: Any) -> str:
  """Likewise of what JSON can hold."""
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def add(meta: Mapping[str, Any], arrays: Mapping[str, str]) -> dict[str, Any]:
  """What JSON is to hold of a checkpoint: `meta`, and digests of everything.

  Args:
    meta: anything JSON can hold.
    arrays: digests of the arrays by their place.
  """
  return {**meta, KEY: {**arrays, 'meta': of_json(dict(meta))}}


def check_meta(meta: Mapping[str, Any]):
  """Raises `ValueError` unless it is what `add` made; older ones have none."""
  digests = meta.get(KEY)
  rest = {name: x for name, x in meta.items() if name != KEY}
  if digests and digests['meta'] != of_json(rest):
    raise ValueError('meta is not what was written')
