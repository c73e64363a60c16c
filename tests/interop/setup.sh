#!/usr/bin/env bash
# Installs existing FastDFS clients of other projects, as they come, into a folder outside the
# source tree. Does nothing that is done already.
set -euo pipefail
cd "$(dirname "$0")/../.."
to=${1:-target/interop}
mkdir -p "$to"

# need COMMAND PACKAGE…
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    echo "installing $* (for $command)" >&2
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >&2
}

need python3 python3
if [ ! -e "$to/python/done" ]; then
    rm -rf "$to/python"
    python3 -m venv "$to/python" 2>/dev/null || { need no-ensurepip python3-venv; python3 -m venv "$to/python"; }
    "$to/python/bin/pip" install --quiet --disable-pip-version-check py3Fdfs==2.2.0
    touch "$to/python/done"
fi

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
    mvn --quiet --batch-mode dependency:copy -Dartifact=net.oschina.zcx7878:fastdfs-client-java:1.27.0.0 \
        -DoutputDirectory="$PWD/$to/java"
    touch "$to/java/done"
fi
