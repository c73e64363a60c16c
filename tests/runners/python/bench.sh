#!/usr/bin/env bash
# bench.sh FOLDER TRACKER SECS: calls per second of the package that install.sh put into FOLDER.
set -euo pipefail
[ $# = 3 ] || { echo "usage: bench.sh FOLDER TRACKER SECS" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
python=$(cd "$1" && pwd)/venv/bin/python
cd /tmp
PYTHONDONTWRITEBYTECODE=1 exec "$python" "$here/bench.py" "$2" "$3"
