"""How this process uses the machine's memory, and what the machine has."""

import contextlib
import ctypes
import gc
import importlib.util
import os
import pathlib
import platform
import sys

_CONTROL_GROUP = pathlib.Path('/sys/fs/cgroup/memory.max')
_PROCESSORS = pathlib.Path('/proc/cpuinfo')
# As glibc's malloc.h has them.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8


def tune(*, accelerated: bool | None = None):
  """Sets what has to be set before JAX is imported.

  A step's temporaries are one block of hundreds of megabytes. glibc asks the
  kernel for it in every step and gives it back; the kernel hands out zeroed
  pages: 190,000 page faults, 0.6 s of processor time a step. Here freed memory
  stays with the process, in one heap, for the next step: 2.2 s -> 1.7 s with
  U-Net of 128 pixels, 64 features, batch 1 (benchmarks/step.py).

  Where an accelerator does the work, many threads of the host would wait for
  that heap. There they keep what a batch takes, and no more: half the processor
  time of the loader (benchmarks/loader.py).

  Args:
    accelerated: whether one does; None: if JAX is installed for one.
  """
  mallopt = _find('mallopt')
  if not mallopt:
    return
  if _has_accelerators() if accelerated is None else accelerated:
    mallopt(_MMAP_THRESHOLD, 2**25)
    mallopt(_TRIM_THRESHOLD, 2**28)
    return
  mallopt(_MMAP_MAX, 0)
  mallopt(_ARENA_MAX, 1)
  mallopt(_TRIM_THRESHOLD, -1)  # never


def _has_accelerators():
  """Whether JAX is installed for more than processors, and may use it."""
  if os.environ.get('JAX_PLATFORMS') == 'cpu':
    return False
  return any(map(importlib.util.find_spec, ('jax_plugins', 'libtpu')))


@contextlib.contextmanager
def importing():
  """Within, no garbage is looked for, nor later among what is there then.

  Modules stay. Those of JAX and its libraries are 270,000 objects, which Python
  would go through again and again while they come: 0.4 s of 2.2.
  """
  gc.disable()
  try:
    yield
  finally:
    gc.freeze()
    gc.enable()


def release():
  """Gives back what compiling has left: some 400 MiB."""
  trim = _find('malloc_trim')
  if trim:
    trim(0)


def memory() -> int | None:
  """Bytes of main memory for this process; None where it cannot be told."""
  try:
    installed = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  except (ValueError, OSError):
    return None
  try:  # of a container or a scheduler's job
    return min(installed, int(_CONTROL_GROUP.read_text()))
  except (ValueError, OSError):
    return installed


def peak_memory() -> int | None:
  """Bytes this process has had at most; None where it cannot be told."""
  try:
    import resource
  except ImportError:  # not on Windows
    return None
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak if sys.platform == 'darwin' else 1024 * peak


def processor() -> str:
  """The model of the processor and what it can do, as far as it can be told."""
  try:
    first = _PROCESSORS.read_text().partition('\n\n')[0]
  except OSError:
    return platform.processor()
  wanted = ('model name', 'flags', 'Features', 'CPU ')
  return '\n'.join(x for x in first.splitlines() if x.startswith(wanted))


def _find(name):
  """A function of glibc, or None where the C library is another."""
  try:
    return getattr(ctypes.CDLL('libc.so.6'), name)
  except (OSError, AttributeError):
    return None
