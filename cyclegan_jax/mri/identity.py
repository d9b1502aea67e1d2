"""Pseudonyms: what people, scans and UIDs are called where nobody is named."""

from collections.abc import Sequence
import dataclasses
import hashlib
import hmac
import os
import pathlib
import tempfile
from typing import Any

from cyclegan_jax import errors

KEY_FILE = 'deidentify.key'
_BYTES = 32


@dataclasses.dataclass(frozen=True)
class Pseudonyms:
  """A keyed one-way mapping: the same again with the same key, never back.

  Attributes:
    key: secret; whoever has it can test a guess of who somebody is.
  """

  key: bytes

  def code(self, kind: str, *parts: str) -> str:
    """A name of 16 characters after the kind, 'patient-0123456789abcdef'."""
    return f'{kind}-{self._hash(kind, *parts)[:8].hex()}'

  def uid(self, uid: str) -> str:
    """A DICOM UID in place of another, of the kind that UUIDs are."""
    return f'2.25.{int.from_bytes(self._hash("uid", uid)[:16])}'

  def rename(self, scans: Sequence[Any]) -> list[Any]:
    """Scans as of `find_scans` under names that say nothing, sorted by them."""
    renamed = [
      dataclasses.replace(
        scan,
        name=f'{self.code("patient", scan.patient)}/'
        + self.code('scan', scan.name),
      )
      for scan in scans
    ]
    return sorted(renamed, key=lambda scan: scan.name)

  def _hash(self, *parts):
    return hmac.digest(self.key, repr(parts).encode(), hashlib.sha256)


def open_pseudonyms(workdir: str | os.PathLike) -> Pseudonyms:
  """Those of a run: its key is made when it is first asked for.

  All that a run translates, by several processes or again after it was
  stopped, is renamed alike: series of a study stay in one study.

  Args:
    workdir: that keeps the key, for its owner's eyes only.

  Raises:
    UserError: if the key cannot be read or written.
  """
  path = pathlib.Path(workdir, KEY_FILE)
  try:
    if not path.exists():
      with tempfile.TemporaryDirectory(prefix='.partial-', dir=workdir) as own:
        partial = pathlib.Path(own, KEY_FILE)
        partial.touch(mode=0o600)
        partial.write_bytes(os.urandom(_BYTES))
        try:  # of several processes the first one's, whole
          os.link(partial, path)
        except FileExistsError:
          pass
        except OSError:  # a disk without hard links
          partial.rename(path)
    key = path.read_bytes()
  except OSError as error:
    raise errors.UserError(
      f'--deidentify keeps its key in {path}, which cannot be used: '
      f'{error.strerror}; use a copy of the run that you can write to'
    ) from None
  if len(key) != _BYTES:
    raise errors.UserError(
      f'{path} is no key of --deidentify; delete it, and a new one is made'
    )
  return Pseudonyms(key)


def check_pixels(header: Any):
  """Refuses a source that says that its pixels name somebody.

  Args:
    header: of a `Volume`; only DICOM's says anything of it.

  Raises:
    UserError: if there is text in its pixels.
  """
  for each in header if isinstance(header, list) else ():
    if each.get('BurnedInAnnotation') == 'YES':
      raise errors.UserError(
        'there is text in its pixels (BurnedInAnnotation is YES), which '
        '--deidentify cannot take out; leave this series out'
      )
