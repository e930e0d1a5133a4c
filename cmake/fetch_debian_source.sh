#!/usr/bin/env bash
# fetch_debian_source.sh PACKAGE MINIMUM_VERSION DEST SUITE...: unpacks a Debian source package of other suites into DEST.
# Works on the machine's own mirror with a private apt state: neither root nor a change of the machine's sources is needed.
# apt checks every file against the signed index.
set -euo pipefail
package=$1 minimum=$2 dest=$3
shift 3
[ ! -e "$dest/.fetched-$package" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,cache/archives/partial,source,etc}

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | sort -u | head -n 1)
[ -n "$mirror" ] || { echo "fetch_debian_source.sh: apt knows no Debian mirror; run apt-get update once" >&2; exit 4; }
for suite in "$@"; do
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done > "$work/etc/sources.list"
apt=(-o Dir::Etc::sourcelist="$work/etc/sources.list" -o Dir::Etc::sourceparts=/dev/null
     -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
     -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache"
     -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o Acquire::Retries=3)

apt-get "${apt[@]}" -q update
version=$(apt-cache "${apt[@]}" showsrc --only-source "$package" | sed -n 's/^Version: //p' | sort -rV | head -n 1)
if [ -z "$version" ] || ! dpkg --compare-versions "$version" ge "$minimum"; then
  echo "fetch_debian_source.sh: the mirror has no $package >= $minimum in $*" >&2
  exit 4
fi
(cd "$work/source" && apt-get "${apt[@]}" -q --only-source source --download-only "$package=$version")

rm -rf "$dest.tmp"
mkdir -p "$(dirname "$dest")"
dpkg-source --no-check --no-copy -x "$work"/source/*.dsc "$dest.tmp"
echo "$version" > "$dest.tmp/.fetched-$package"
rm -rf "$dest"
mv "$dest.tmp" "$dest"
