#!/bin/bash
# Translates a folder of scans by eight tasks, each its own share of them.
#
#   SOURCE=/data/T1 TARGET=/data/T2_synthetic sbatch cluster/slurm_translate.sh
#
# Which share is read from SLURM's variables. Started again, it goes on with
# what is not done; what failed is listed in TARGET/translation_failures-*.txt.
#SBATCH --job-name=translate
#SBATCH --array=0-7
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A-%a.log
set -eu

exec .venv/bin/python launch.py --mode=translate \
  --workdir="${RUN:-$PWD/runs/cluster}" \
  --direction="${DIRECTION:-ab}" \
  --source="$SOURCE" \
  --target="$TARGET" "$@"
