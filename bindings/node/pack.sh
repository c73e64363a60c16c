#!/usr/bin/env bash
# pack.sh [--whole] FOLDER BINARY…: makes the tarballs for a registry: @fdfs/client and, for each
# binary, fdfs.<platform>-<arch>[-<libc>].node, the package @fdfs/client-… that brings it. --whole
# makes one of them all.
set -euo pipefail
whole=
[ "${1:-}" != --whole ] || { whole=yes && shift; }
[ $# -ge 2 ] || { sed -n '2,4s/^# *//p' "$0" >&2; exit 2; }
folder=$(realpath -m "$1")
shift
binaries=()
for binary; do binaries+=("$(realpath "$binary")"); done
cd "$(dirname "$0")"
. ../../tests/need.sh
need npm npm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder" "$work/client"

# Packed outside of the source tree, with what the whole project has once.
cp -r package.json README.md index.cjs index.mjs index.d.ts index.d.mts lib examples \
    ../../LICENSE ../../CHANGELOG.md "$work/client/"
if [ -n "$whole" ]; then
    cp "${binaries[@]}" "$work/client/"
else
    node platforms.cjs "$work" "${binaries[@]}"
fi
cd "$folder"
npm pack --silent "$work"/client* >/dev/null
