#!/usr/bin/env bash
# run.sh FOLDER SCENARIO…: runs scenarios with the package that is installed in FOLDER.
set -euo pipefail
folder=$(realpath "${1:?usage: run.sh FOLDER SCENARIO…}")
shift
exec node --expose-gc "$(dirname "$0")/run.mjs" "$folder" "$@"
