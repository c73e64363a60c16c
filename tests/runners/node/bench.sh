#!/usr/bin/env bash
# bench.sh FOLDER TRACKER SECS: calls per second of the package installed in FOLDER, as lines of
# op, size, calls at a time, calls per second.
set -euo pipefail
folder=$(realpath "${1:?usage: bench.sh FOLDER TRACKER SECS}")
exec node "$(dirname "$0")/bench.mjs" ours "$folder" "$2" "$3"
