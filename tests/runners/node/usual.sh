#!/usr/bin/env bash
# usual.sh TRACKER SECS: the same as bench.sh with the usual client, fdfs of npm.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
tracker=${1:?usage: usual.sh TRACKER SECS} secs=$2
cd "$here/../../.."
. tests/need.sh
need node nodejs
need npm npm
folder=target/interop/node
if [ ! -e "$folder/done" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    echo '{"private": true}' >"$folder/package.json"
    npm install --prefix "$folder" --silent --no-audit --no-fund --no-package-lock fdfs@1.0.4
    touch "$folder/done"
fi
exec node "$here/bench.mjs" usual "$PWD/$folder" "$tracker" "$secs"
