#!/usr/bin/env bash
# sdist.sh SDIST: builds a wheel from the source distribution far from the tree, and uses it in a fresh
# environment. Of Rust it needs the toolchain alone. FDFS_PROFILE names the profile of cargo (dev).
set -euo pipefail
[ $# = 1 ] || { sed -n '2,3s/^# *//p' "$0" >&2; exit 2; }
sdist=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tests/need.sh"
need python3 python3 python3-venv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# The compiler of the project, which nothing names here; and what its crates need was built already.
RUSTUP_TOOLCHAIN=$(sed -n 's/^channel = "\(.*\)"$/\1/p' "$here/../../rust-toolchain.toml")
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-$here/../../target}")
MATURIN_PEP517_ARGS="--profile ${FDFS_PROFILE:-dev}"
export RUSTUP_TOOLCHAIN CARGO_TARGET_DIR MATURIN_PEP517_ARGS
python3 -m venv build
build/bin/pip install --quiet --requirement "$here/tools.txt"
PATH=$work/build/bin:$PATH pip wheel --quiet --no-index --no-build-isolation --wheel-dir wheel "$sdist"
python3 -m venv venv
venv/bin/pip install --quiet --no-index wheel/fdfs-*.whl
cp "$here/examples/embedded.py" .
venv/bin/python embedded.py
