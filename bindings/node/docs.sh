#!/usr/bin/env bash
# docs.sh FOLDER: writes the documentation of the package, made from its declarations.
set -euo pipefail
cd "$(dirname "$0")/../.."
to=$(realpath -m "${1:?usage: docs.sh FOLDER}")
. bindings/node/tools.sh

# Where the generator finds the declarations of Node.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp bindings/node/{index.d.ts,README.md} "$work"
ln -s "$tools/node_modules" "$work/node_modules"
cat >"$work/tsconfig.json" <<'JSON'
{
  "compilerOptions": {
    "strict": true, "target": "es2022", "module": "node16", "noEmit": true, "types": ["node"]
  },
  "files": ["index.d.ts"]
}
JSON
cd "$work"
"$tools/node_modules/.bin/typedoc" --tsconfig tsconfig.json --entryPoints index.d.ts \
    --name @fdfs/client --readme README.md --out "$to" --treatWarningsAsErrors --logLevel Warn \
    --disableSources --excludeExternals
echo "documentation is in $to"
