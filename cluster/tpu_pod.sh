#!/bin/bash
# Trains on all hosts of a TPU pod slice of Google Cloud.
#
#   TPU=my-slice ZONE=us-central2-b cluster/tpu_pod.sh \
#       --config.data.train_a=T1_DIR --config.data.train_b=T2_DIR
#
# On every host: this checkout in ~/cyclegan with .venv (BUILD.md, TPU), and a
# file system that all of them see, such as Filestore, in $SHARED. Which hosts
# there are the TPU runtime tells. A slice that was taken away: the same line.
set -eu

shared=${SHARED:-/shared}
gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="
  cd ~/cyclegan && .venv/bin/python launch.py \
    --config=configs/t1t2_best.py \
    --config.distributed=auto \
    --config.parallel=shard_map \
    --config.batch_size=16 \
    --config.compile_cache=$shared/cache/compiled \
    --config.data.cache=$shared/cache/slices \
    --workdir=$shared/runs/cyclegan $*"
