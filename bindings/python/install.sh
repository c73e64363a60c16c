#!/usr/bin/env bash
# install.sh FOLDER: builds the wheel and installs it into FOLDER/venv, a fresh environment.
#   FDFS_PROFILE  profile of cargo (release)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tests/need.sh"
[ $# = 1 ] || { echo "usage: install.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)

need cc build-essential
need python3 python3 python3-venv
# Debian has the module without what makes it work.
python3 -c 'import ensurepip' 2>/dev/null || need ensurepip-of-python python3-venv

rm -rf "$folder/venv" "$folder/tools" "$folder/wheels"
python3 -m venv "$folder/tools"
"$folder/tools/bin/pip" install --quiet --requirement "$here/tools.txt"
"$folder/tools/bin/maturin" build --quiet --profile "${FDFS_PROFILE:-release}" --locked \
    --manifest-path "$here/Cargo.toml" --interpreter python3 \
    --compatibility linux --out "$folder/wheels"

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-index "$folder"/wheels/fdfs-*.whl
# Not from here: what is imported must be what is installed.
cd "$folder"
"$folder/venv/bin/python" -c 'import fdfs; print("installed fdfs", fdfs.__version__)'
