#!/usr/bin/env bash
# demo.sh PROGRAM TRAINING [FOLDER]: the example TRAINING learns a flow and forecasts another one; the program fieldstep
# continues a bundled simulation. Results come into FOLDER.
set -euo pipefail
program=$(realpath "$1")
training=$(realpath "$2")
folder=${3:-$(dirname "$program")/demo}
root=$(realpath "$(dirname "$0")/..")
mkdir -p "$folder"
export OMP_PROC_BIND=${OMP_PROC_BIND:-false}

cat <<'TEXT'

A small ScOT that this program has trained (examples/weights/README.md) forecasts the bundled simulation that it learned
from: vortices of an incompressible flow, up to 20 frames ahead.

TEXT
"$program" forecast --weights "$root/examples/weights/scot_tiny_ns_pwc.safetensors" \
  --data "$root/tests/samples/poseidon/NS-PwC.nc" --problem NS-PwC --output "$folder/forecast"

cat <<'TEXT'

Now a network that learns: the library's solver makes decaying flows, a small convolutional net is trained on them for
about two minutes, then it is rolled out on flows that it never saw.

TEXT
"$training" 1800 "$folder/vortices"
