#!/usr/bin/env bash
# check.sh FOLDER: linter, types, examples and unit tests, on the package installed in FOLDER.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath "${1:?usage: check.sh FOLDER}")
. bindings/node/tools.sh

FDFS_TOOLS=$tools "$tools/node_modules/.bin/eslint" --config bindings/node/eslint.config.mjs \
    --max-warnings 0 bindings/node tests/runners/node
echo "ok lint"

# As an application sees the declarations, from both module systems.
types=$folder/types
rm -rf "$types"
mkdir "$types"
cp bindings/node/test/types.mts "$types/esm.mts"
cp bindings/node/test/types.mts "$types/cjs.cts"
for example in bindings/node/examples/*.mjs; do
    cp "$example" "$types/$(basename "$example" .mjs)-example.mts"
done
"$tools/node_modules/.bin/tsc" --strict --noEmit --exactOptionalPropertyTypes \
    --noUncheckedIndexedAccess --target es2022 --module node16 --moduleResolution node16 \
    --typeRoots "$tools/node_modules/@types" --types node "$types"/*
echo "ok types"

FDFS_PACKAGE=$folder node --test bindings/node/test/*.test.mjs
echo "ok tests"
