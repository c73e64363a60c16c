#!/usr/bin/env bash
# install.sh FOLDER: builds the package and installs it there, as an application would.
set -euo pipefail
cd "$(dirname "$0")/../.."
to=$(realpath -m "${1:?usage: install.sh FOLDER}")
profile=${FDFS_PROFILE:-release}
. tests/need.sh
need node nodejs
need npm npm
[ "$(uname)" != Linux ] || need strip binutils

cargo build --quiet --package fdfs-node --profile "$profile"
metadata=$(cargo metadata --format-version 1 --no-deps)
target=$(node -p 'JSON.parse(require("fs").readFileSync(0)).target_directory' <<<"$metadata")
[ "$profile" != dev ] || profile=debug
library=$(find "$target/$profile" -maxdepth 1 \
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
mkdir -p "$to/package"
touch "$to/fdfs-environment"

# The package is packed outside of the source tree, with what the whole project has once.
cp -r bindings/node/{package.json,README.md,index.cjs,index.mjs,index.d.ts,index.d.mts} \
    bindings/node/{lib,examples} LICENSE CHANGELOG.md "$to/package/"
cp "$library" "$to/package/$name"
# What debuggers want is most of it.
[ "$(uname)" != Linux ] || strip --strip-debug "$to/package/$name"
(cd "$to" && npm pack --silent ./package >/dev/null)
echo '{"private": true}' >"$to/package.json"
npm install --prefix "$to" --silent --offline --no-audit --no-fund --no-package-lock \
    "$to"/fdfs-client-*.tgz
cd "$to"
node -e 'console.log("@fdfs/client", require("@fdfs/client").coreVersion, "installed")'
