#!/usr/bin/env bash
# Installs existing FastDFS clients of other projects, as they come, into a folder outside the
# source tree. Does nothing that is done already.
set -euo pipefail
cd "$(dirname "$0")/../.."
to=$(realpath -m "${1:-target/interop}")
mkdir -p "$to"

. tests/need.sh

need python3 python3
# venv FOLDER REQUIREMENT…
venv() {
    local folder=$to/$1
    shift
    [ ! -e "$folder/done" ] || return 0
    rm -rf "$folder"
    if ! python3 -m venv "$folder" 2>/dev/null; then
        need no-ensurepip python3-venv
        python3 -m venv "$folder"
    fi
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
    touch "$folder/done"
}
venv python py3Fdfs==2.2.0
venv python-fastdfs-client fastdfs-client==1.3.0 \
    anyio==4.16.0 idna==3.20 typing_extensions==4.16.0

need npm nodejs npm
if [ ! -e "$to/node/done" ]; then
    rm -rf "$to/node"
    mkdir -p "$to/node"
    echo '{"private": true}' >"$to/node/package.json"
    npm install --prefix "$to/node" --silent --no-audit --no-fund --no-package-lock fdfs@1.0.4
    touch "$to/node/done"
fi

need javac default-jdk-headless
need mvn maven
if [ ! -e "$to/java/done" ]; then
    rm -rf "$to/java"
    mkdir -p "$to/java"
    mvn --quiet --batch-mode -Dstyle.color=never dependency:copy \
        -Dartifact=net.oschina.zcx7878:fastdfs-client-java:1.27.0.0 \
        -DoutputDirectory="$to/java"
    touch "$to/java/done"
fi
if [ ! -e "$to/java-tobato/done" ]; then
    rm -rf "$to/java-tobato"
    mkdir -p "$to/java-tobato"
    mvn --quiet --batch-mode -Dstyle.color=never --file tests/interop/java-tobato/pom.xml \
        dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$to/java-tobato"
    touch "$to/java-tobato/done"
fi
