#!/usr/bin/env bash
# usual.sh TRACKER SECS: the same as bench.sh with the official Java client, installed on first use.
set -euo pipefail
[ $# = 2 ] || { sed -n '2s/^# *//p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/../../.."
. tests/need.sh
need javac default-jdk-headless
place=${FDFS_INTEROP:-target/interop}/java
if ! compgen -G "$place/*.jar" >/dev/null; then
    need mvn maven
    mvn --quiet --batch-mode -Dstyle.color=never dependency:copy \
        -Dartifact=net.oschina.zcx7878:fastdfs-client-java:1.27.0.0 \
        -DoutputDirectory="$(realpath -m "$place")" >&2
fi
jar=$(compgen -G "$place/*.jar" | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bench=tests/runners/java/bench
javac -encoding UTF-8 -cp "$jar" -d "$work" "$bench/Load.java" "$bench/Usual.java"
java -cp "$jar:$work" Usual "$1" "$2"
