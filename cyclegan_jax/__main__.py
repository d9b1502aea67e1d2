r"""CycleGAN: one MRI contrast into another, and back.

  cyclegan-jax --mode=translate --workdir=W --direction=ab --source=IN \
      --target=OUT
  cyclegan-jax --help

All that `python launch.py` does where recipes are: they are in a checkout.
"""

import signal


def run():
  """The command `cyclegan-jax`."""
  # Until there is someone to tell it in a line, a Ctrl-C ends this silently.
  signal.signal(signal.SIGINT, signal.SIG_DFL)
  from cyclegan_jax import cli  # which takes a second

  cli.run(__doc__)


if __name__ == '__main__':
  run()
