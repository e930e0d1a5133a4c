#!/usr/bin/env bash
# demo.sh PROGRAM TRAINING [FOLDER]: the example TRAINING learns a flow and forecasts another one; the program fieldstep
# continues a bundled simulation. Results come into FOLDER.
set -euo pipefail
program=$(realpath "$1")
training=$(realpath "$2")
folder=${3:-$(dirname "$program")/demo}
tests=$(realpath "$(dirname "$0")/../tests")
mkdir -p "$folder"
export OMP_PROC_BIND=${OMP_PROC_BIND:-false}

cat <<'TEXT'

The program reads a checkpoint as the original's trainer writes it, a small AViT with synthetic weights, and continues a
compressible flow from four frames. This forecast is NOT expected to follow the reference.

TEXT
"$program" forecast --weights "$tests/goldens/mpp/ckpt_micro.tar" \
  --data "$tests/samples/pdebench/2D_CFD_Rand_M0.1_Eta1e-08_Zeta1e-08_periodic_128_Train.hdf5" \
  --title "AViT with synthetic weights, compressible flow" --output "$folder/forecast"

cat <<'TEXT'

Now a network that learns: the library's solver makes decaying flows, a small convolutional net is trained on them for
about two minutes, then it is rolled out on flows that it never saw.

TEXT
"$training" 1800 "$folder/vortices"
