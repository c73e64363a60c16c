#!/usr/bin/env bash
# bench.sh FOLDER TRACKER SECS: measures the package installed in FOLDER. Prints lines of operation,
# size, calls at a time, calls per second and microseconds of processor time of a call, with tabs
# between them.
set -euo pipefail
[ $# = 3 ] || { sed -n '2,4s/^# *//p' "$0" >&2; exit 2; }
jar=$(realpath "$1")/lib/fdfs-client.jar
cd "$(dirname "$0")/bench"
. ../../../need.sh
need javac default-jdk-headless
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
javac -encoding UTF-8 -cp "$jar" -d "$work" Load.java Bench.java
java -cp "$jar:$work" Bench "$2" "$3"
