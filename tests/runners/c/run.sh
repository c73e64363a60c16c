#!/usr/bin/env bash
# run.sh FOLDER SCENARIO…: plays scenarios with libfdfs as installed in FOLDER.
set -euo pipefail
folder=$(realpath "$1")
shift
export PKG_CONFIG_PATH=$folder/lib/pkgconfig LD_LIBRARY_PATH=$folder/lib
out=${RUNNER:-$folder/runner}
here=$(dirname "$0")
if [ ! -x "$out" ] || [ -n "$(find "$here" "$folder/lib" -newer "$out" -type f)" ]; then
    # shellcheck disable=SC2046,SC2086
    ${CC:-cc} -std=c99 -Wall -Wextra -Werror -O1 -g ${CFLAGS:-} -pthread -o "$out" "$here"/*.c \
        $(pkg-config --cflags --libs libfdfs)
fi
exec ${WRAP:-} "$out" "$@"
