#!/usr/bin/env bash
# bench.sh FOLDER TRACKER SECS: calls per second of libfdfs as installed in FOLDER, and processor
# time for each.
set -euo pipefail
folder=$(realpath "$1")
export PKG_CONFIG_PATH=$folder/lib/pkgconfig LD_LIBRARY_PATH=$folder/lib
# shellcheck disable=SC2046
${CC:-cc} -std=c99 -Wall -Wextra -Werror -O2 -pthread -o "$folder/bench" \
    "$(dirname "$0")"/bench/bench.c $(pkg-config --cflags --libs libfdfs)
exec "$folder/bench" "$2" "$3"
