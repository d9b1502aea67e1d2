"""How this process uses the machine: set before JAX is imported.

Every setting here was measured with benchmarks/step.py on two cores, U-Net of
128 pixels, 64 features, batch 1 (2.9 s a step with none of them); a setting of
the user's own in XLA_FLAGS wins.
"""

import ctypes
import os
import pathlib
import sys

# XLA hands convolutions to a library that takes up to three times as long as
# its own code: 82 ms against 28 ms for 64 x 64, 256 -> 256, k3. Matrix products
# it does better, most of all thin ones. 2.9 s -> 2.2 s.
_LIBRARY = 'xla_cpu_experimental_ynn_fusion_type'
_MATRIX_PRODUCTS_ONLY = 'LIBRARY_FUSION_TYPE_DOT'
# Two threads have nothing to gain from operations that run beside each other,
# and what waits takes memory: 498 -> 318 MiB of temporaries. It is also what
# makes rematerialisation save memory on CPU at all.
_SCHEDULER = 'xla_cpu_enable_concurrency_optimized_scheduler'

_CONTROL_GROUP = pathlib.Path('/sys/fs/cgroup/memory.max')
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # glibc's malloc.h


def tune():
  """Sets what has to be set before JAX is imported.

  A step's temporaries are one block of hundreds of megabytes. glibc asks the
  kernel for it in every step and gives it back; the kernel hands out zeroed
  pages: 190,000 page faults, 0.6 s of processor time a step. Here freed memory
  stays with the process, in one heap, for the next step. 2.2 s -> 1.7 s.
  """
  set_flags()
  mallopt = _find('mallopt')
  if mallopt:
    mallopt(_MMAP_MAX, 0)
    mallopt(_ARENA_MAX, 1)
    mallopt(_TRIM_THRESHOLD, -1)  # never


def set_flags():
  """Sets the compiler's flags alone, for programs whose memory is not ours.

  They decide how sums are rounded too: without them results differ from the
  command line's in the last bits.
  """
  flags = os.environ.get('XLA_FLAGS', '')
  for name, value in ((_LIBRARY, _MATRIX_PRODUCTS_ONLY), (_SCHEDULER, 'false')):
    if name not in flags:
      flags += f' --{name}={value}'
  os.environ['XLA_FLAGS'] = flags.strip()


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


def _find(name):
  """A function of glibc, or None where the C library is another."""
  try:
    return getattr(ctypes.CDLL('libc.so.6'), name)
  except (OSError, AttributeError):
    return None
