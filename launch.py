r"""Command line: flags and a table of modes.

  python launch.py --config=configs/quickstart.py
  python launch.py --config=configs/t1t2.py --config.data.train_a=DIR_A \
      --config.data.train_b=DIR_B --workdir=W
  python launch.py --mode=translate --workdir=W --direction=ab --source=IN \
      --target=OUT
  python launch.py --mode=evaluate --workdir=W --source_a=DIR --source_b=DIR
  python launch.py --mode=list --workdir=W
  python launch.py --mode=pack --workdir=W --target=model.zip
  python launch.py --mode=export --workdir=W --direction=ab --format=onnx \
      --target=model.onnx
  python launch.py --mode=import --source=FOLDER --workdir=W \
      --domains=T1w,T2w --spacing=1.0 --intensity_a=percentile \
      --intensity_b=percentile

What --mode=pack has written takes the place of W in all but training, which
begins from it with --config.start_from=model.zip.

Exit status: 0 done; 2 a mistake in a flag, a path or a file, told in one line;
1 anything else that stopped the run, the cause in the last line.
"""

import signal

if __name__ == '__main__':
  # Until there is someone to tell it in a line, a Ctrl-C ends this silently.
  signal.signal(signal.SIGINT, signal.SIG_DFL)

  from cyclegan_jax import cli  # which takes a second

  cli.run(__doc__)
