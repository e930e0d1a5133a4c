#!/usr/bin/env bash
# demo.sh PROGRAM [FOLDER]: the program fieldstep continues a bundled simulation; results come into FOLDER.
set -euo pipefail
program=$(realpath "$1")
folder=${2:-$(dirname "$program")/demo}
tests=$(realpath "$(dirname "$0")/../tests")

cat <<'TEXT'

A small AViT reads four frames of a compressible flow and forecasts the seventeen that follow.
Its weights are synthetic: a checkpoint as the original's trainer writes it, after three training steps. The files are
read, the network runs and the results are drawn, but the forecast is NOT expected to follow the reference.

TEXT
"$program" forecast --weights "$tests/goldens/mpp/ckpt_micro.tar" \
  --data "$tests/samples/pdebench/2D_CFD_Rand_M0.1_Eta1e-08_Zeta1e-08_periodic_128_Train.hdf5" \
  --title "AViT with synthetic weights, compressible flow" --output "$folder"
echo "The picture of the first step: $(realpath "$folder")/step_001.png"
