#!/usr/bin/env bash
# run.sh FOLDER SCENARIO…: plays scenarios with the package that install.sh put into FOLDER.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=$(cd "$1" && pwd)/venv/bin/python
shift
# Not from here: what is imported must be what is installed.
cd "${FDFS_DIR:-/tmp}"
PYTHONDONTWRITEBYTECODE=1 exec "$python" "$here/run.py" "$@"
