#!/usr/bin/env bash
# packages.sh FOLDER: uses each package of this machine that bindings/packages.sh put into FOLDER, in a
# fresh environment outside of the tree, on an embedded cluster.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,3s/^# *//p' "$0" >&2; exit 2; }
folder=$(realpath "$1")
root=$(realpath "$(dirname "$0")/..")
. "$root/tests/need.sh"
need python3 python3 python3-venv
need node nodejs
need npm npm
need java default-jdk-headless
need c++ g++
need pkg-config pkg-config
arch=$(uname -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset LD_LIBRARY_PATH

python3 -m venv python
python/bin/pip install --quiet --no-index "$folder"/python/fdfs-*-manylinux*"$arch".whl
cp "$root"/bindings/python/examples/*.py .
python/bin/python embedded.py
"$root/bindings/python/sdist.sh" "$folder"/python/fdfs-*.tar.gz
echo "ok python"

mkdir node
cp "$root"/bindings/node/examples/embedded.mjs node
echo '{"private": true}' >node/package.json
flavour=$(node -p 'process.arch')-gnu
npm install --prefix node --silent --offline --no-audit --no-fund \
    "$folder"/node/fdfs-client-[0-9]*.tgz "$folder"/node/fdfs-client-linux-"$flavour"-*.tgz
node node/embedded.mjs
(cd node && node -e "console.log('CommonJS', require('@fdfs/client').coreVersion)")
echo "ok node"

jar=$(find "$folder/java" -name '*.jar' ! -name '*-sources.jar' ! -name '*-javadoc.jar')
java -cp "$jar" "$root/bindings/java/examples/Embedded.java"
echo "ok java"

tar xzf "$folder"/c/libfdfs-*-"$arch"-unknown-linux-gnu.tar.gz
prefix=$(echo "$PWD"/libfdfs-*)
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
# shellcheck disable=SC2046 # one word for each
{
    c++ -o shared "$root/bindings/c/examples/embedded.cpp" $(pkg-config --cflags --libs libfdfs)
    c++ -o static "$root/bindings/c/examples/embedded.cpp" $(pkg-config --cflags libfdfs) \
        "$prefix/lib/libfdfs.a" $(pkg-config --libs --static libfdfs | sed 's|-lfdfs||')
}
LD_LIBRARY_PATH=$prefix/lib ./shared
./static
echo "ok c"
