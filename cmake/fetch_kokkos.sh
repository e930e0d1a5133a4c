#!/usr/bin/env bash
# fetch_kokkos.sh DEST: unpacks the sources of Kokkos 4.7.00 into DEST.
# No distribution carries Kokkos on its own; the sdist of pygenten 0.1.5 contains the complete, unchanged tree. A release of
# a package index never changes, and pip refuses a file whose hash differs.
set -euo pipefail
dest=$1
[ ! -e "$dest/CMakeLists.txt" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo 'pygenten==0.1.5 --hash=sha256:e620f05c742905e2db705d875f1cac92ef0ed453f9e6734e9beda26cc0f9cce7' > "$work/requirements"
python3 -m pip download -q --no-deps --no-binary pygenten --require-hashes -d "$work" -r "$work/requirements"
tar -C "$work" -xzf "$work/pygenten-0.1.5.tar.gz" pygenten-0.1.5/tpls/kokkos
mkdir -p "$(dirname "$dest")"
mv "$work/pygenten-0.1.5/tpls/kokkos" "$dest"
