#!/usr/bin/env bash
# docs.sh FOLDER: writes the API documentation into FOLDER; what is not documented is an error.
set -euo pipefail
[ $# = 1 ] || { sed -n '2s/^# *//p' "$0" >&2; exit 2; }
to=$(realpath -m "$1")
cd "$(dirname "$0")"
. ../../tests/need.sh
need javadoc default-jdk-headless
javadoc -quiet -Xdoclint:all -Werror --release 8 -encoding UTF-8 -notimestamp \
    -windowtitle 'fdfs client for Java' -d "$to" -sourcepath src/main/java io.github.fdfs
