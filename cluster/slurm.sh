#!/bin/bash
# Trains on two nodes of eight GPUs, a process for each GPU.
#
#   sbatch cluster/slurm.sh --config.data.train_a=T1_DIR \
#       --config.data.train_b=T2_DIR [--config.FIELD=VALUE ...]
#
# Start it in the checkout, with its environment in .venv. Without folders it
# trains on simulated heads. The same script on one node (sbatch --nodes=1), or
# on other numbers of GPUs, goes on with the same run: what must match is that
# batch_size divides by the number of GPUs.
#SBATCH --job-name=cyclegan
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gres=gpu:8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
# Preempted, or a node has failed: SLURM starts it again, and it goes on.
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
# Three minutes before the time is over every task is told to stop: all save at
# the same step. It must be more than an evaluation takes.
#SBATCH --signal=TERM@180
set -u

# A folder that every node sees. Only the first process reads and writes there.
run=${RUN:-$PWD/runs/cluster}
# Compiled programs and decoded slices: not in a home folder with a quota.
cache=${CACHE:-$PWD/cache}

# Where one task ends, all do.
srun --kill-on-bad-exit=1 .venv/bin/python launch.py \
  --config=configs/t1t2_best.py \
  --config.distributed=auto \
  --config.batch_size=16 \
  --config.compile_cache="$cache/compiled" \
  --config.data.cache="$cache/slices" \
  --workdir="$run" "$@"
status=$?

# 0: done. 2: a mistake in a flag or a file, which starting again does not mend.
# Anything else, such as a stop asked for or a peer that has died, goes on from
# the newest checkpoint.
if [ $status -ne 0 ] && [ $status -ne 2 ] &&
  [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
