#!/usr/bin/env bash
# usual.sh TRACKER SECS: the same as bench.sh with py3Fdfs, the client that most people use.
set -euo pipefail
[ $# = 2 ] || { echo "usage: usual.sh TRACKER SECS" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../need.sh"
need python3 python3 python3-venv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet py3Fdfs==2.2.0
cd "$work"
PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" "$here/usual.py" "$1" "$2"
