#!/usr/bin/env bash
# run.sh FOLDER SCENARIO…: plays the scenarios of tests/scenarios.tsv with the package installed in
# FOLDER, among the servers that fdfs-stage names in the environment. Prints `ok NAME` for each and
# ends at the first that fails. Each has a Java of its own, and leaves nothing in its TMPDIR.
set -euo pipefail
jar=$(realpath "$1")/lib/fdfs-client.jar
shift
cd "$(dirname "$0")"
. ../../need.sh
need javac default-jdk-headless
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/classes" "$work/tmp"
javac --release 8 -encoding UTF-8 -Xlint:all,-options -Werror -cp "$jar" -d "$work/classes" ./*.java
export TMPDIR=$work/tmp
for scenario in "$@"; do
    case $scenario in
    # A small heap, so that what grows is what this library keeps.
    memory) options=(-XX:+UseSerialGC -Xmx40m) ;;
    # Threads that come and go by themselves would hide ours.
    baseline) options=(-XX:+UseSerialGC -XX:-UseDynamicNumberOfCompilerThreads) ;;
    *) options=() ;;
    esac
    java "${options[@]}" -Xcheck:jni -Djava.io.tmpdir="$TMPDIR" -cp "$jar:$work/classes" Runner \
        "$scenario" >"$work/out" 2>&1 || { cat "$work/out" >&2; echo "failed: $scenario" >&2; exit 1; }
    # What the virtual machine has to say about native code counts as much as the scenario.
    if grep -qE 'WARNING|FATAL' "$work/out"; then cat "$work/out" >&2; exit 1; fi
    left=$(ls -A "$TMPDIR")
    [ -z "$left" ] || { echo "$scenario left behind: $left" >&2; exit 1; }
    grep -Fx "ok $scenario" "$work/out"
done
