# Compiler, linter and documentation generator, in a folder outside of the source tree. Sourced with
# the root of the project as working folder; sets `tools`.
. tests/need.sh
need node nodejs
need npm npm
tools=$PWD/target/node-tools
versions='typescript@5.9.3 @types/node@20.19.25 typedoc@0.28.20'
versions+=' eslint@9.39.1 @eslint/js@9.39.1 globals@16.5.0'
if [ "$(cat "$tools/done" 2>/dev/null)" != "$versions" ]; then
    rm -rf "$tools"
    mkdir -p "$tools"
    echo '{"private": true}' >"$tools/package.json"
    # shellcheck disable=SC2086 # one word for each
    npm install --prefix "$tools" --silent --no-audit --no-fund --no-package-lock $versions
    echo "$versions" >"$tools/done"
fi
