"""A disk that is full when a soak wants it to be: see `soak`."""

import contextlib
import pathlib
import subprocess
import threading
import time

_POLL_SECONDS = 0.005


class Disk:
  """A folder on a small disk of its own, which a ballast can fill."""

  def __init__(self, folder: pathlib.Path, size: str = '24m'):
    """Mounts it; without the right to, `limited` is False."""
    self.folder = folder
    self._ballast = folder / 'ballast'
    self._full = threading.Event()
    self._filler = None
    folder.mkdir(parents=True, exist_ok=True)
    mount = ['mount', '-t', 'tmpfs', '-o', f'size={size}', 'soak', str(folder)]
    try:
      self.limited = not subprocess.run(mount, capture_output=True).returncode
    except FileNotFoundError:
      self.limited = False

  def fill(self):
    """From here on there is no room, whatever is deleted, until `free`."""
    self._full.set()
    written = threading.Event()
    self._filler = threading.Thread(target=self._keep_full, args=(written,))
    self._filler.start()
    written.wait()

  def _keep_full(self, written):
    with self._ballast.open('ab', buffering=0) as file:
      while self._full.is_set():
        for size in (1 << 16, 1 << 12):
          with contextlib.suppress(OSError):
            while file.write(bytes(size)) == size:
              pass
        written.set()
        time.sleep(_POLL_SECONDS)

  def free(self):
    if self._filler:
      self._full.clear()
      self._filler.join()
      self._filler = None
    self._ballast.unlink(missing_ok=True)

  def close(self):
    self.free()
    if self.limited:
      subprocess.run(['umount', '-l', str(self.folder)], check=False)
