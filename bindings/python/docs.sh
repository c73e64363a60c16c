#!/usr/bin/env bash
# docs.sh FOLDER: writes the documentation of the package into FOLDER, with pdoc.
#   FDFS_INSTALLED  what install.sh made; without it, the package is installed first
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# = 1 ] || { echo "usage: docs.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
installed=${FDFS_INSTALLED:-$work}
[ -n "${FDFS_INSTALLED:-}" ] || "$here/install.sh" "$work"
python3 -m venv "$work/docs"
"$work/docs/bin/pip" install --quiet pdoc==16.0.0 typing_extensions==4.16.0
"$work/docs/bin/pip" install --quiet --no-index "$installed"/wheels/fdfs-*.whl
cd "$work"
"$work/docs/bin/pdoc" --docformat markdown --no-show-source --output-directory "$out" fdfs fdfs.errors
