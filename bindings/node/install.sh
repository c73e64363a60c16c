#!/usr/bin/env bash
# install.sh FOLDER: builds the package and installs it there, as an application would.
set -euo pipefail
cd "$(dirname "$0")/../.."
to=$(realpath -m "${1:?usage: install.sh FOLDER}")
. tests/need.sh
. bindings/build.sh
need node nodejs
need npm npm
[ "$(uname)" != Linux ] || need strip binutils

built=$(build fdfs-node '')
library=$(find "$built" -maxdepth 1 \
    '(' -name libfdfs_node.so -o -name libfdfs_node.dylib -o -name fdfs_node.dll ')')
name=$(node -p '
    const glibc = process.report.getReport().header.glibcVersionRuntime;
    const flavour = { linux: glibc ? "gnu" : "musl", win32: "msvc" }[process.platform];
    ["fdfs." + process.platform, process.arch, flavour].filter(Boolean).join("-") + ".node"')

# Only a folder that this script has made is made anew.
if [ -n "$(ls -A "$to" 2>/dev/null)" ] && [ ! -e "$to/fdfs-environment" ]; then
    echo "$to is in use for something else" >&2
    exit 1
fi
rm -rf "$to"
mkdir -p "$to"
touch "$to/fdfs-environment"
cp "$library" "$to/$name"
# What debuggers want is most of it.
[ "$(uname)" != Linux ] || strip --strip-debug "$to/$name"
bindings/node/pack.sh --whole "$to" "$to/$name"
echo '{"private": true}' >"$to/package.json"
npm install --prefix "$to" --silent --offline --no-audit --no-fund --no-package-lock \
    "$to"/fdfs-client-*.tgz
cd "$to"
node -e 'console.log("@fdfs/client", require("@fdfs/client").coreVersion, "installed")'
