#!/usr/bin/env bash
# packages.sh FOLDER: what a release consists of, in all languages, into FOLDER:
#   c/       a prefix of libfdfs for each target, to unpack anywhere
#   python/  wheels and the source distribution
#   node/    @fdfs/client, and for each target the optional package with its binary
#   java/    the files of a Maven repository; the jar has libraries for all targets
# TARGETS names the targets as Rust does (this machine's). zig links them on the oldest glibc that
# is promised; a library that needs a newer one is an error.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,8s/^# *//p' "$0" >&2; exit 2; }
folder=$(realpath -m "$1")
cd "$(dirname "$0")/.."
. tests/need.sh
. bindings/build.sh
need python3 python3 python3-venv
need readelf binutils
need node nodejs
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
read -ra targets <<<"${TARGETS:-$(rustc -vV | sed -n 's/^host: //p')}"
export FDFS_PROFILE=${FDFS_PROFILE:-packages}

# Compiler, linker and packer: the same wherever it is done.
tools=$PWD/target/package-tools
pinned=$(cat bindings/tools.txt bindings/python/tools.txt)
if [ "$(cat "$tools/done" 2>/dev/null)" != "$pinned" ]; then
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet -r bindings/tools.txt -r bindings/python/tools.txt
    echo "$pinned" >"$tools/done"
fi
export PATH=$tools/bin:$PATH

c() {
    local target=$1 name=libfdfs-$version-$1
    FDFS_TARGET=$target DESTDIR=$work bindings/c/install.sh "/$name"
    # Wherever it is unpacked.
    # shellcheck disable=SC2016 # pkg-config's own variable
    sed -i 's|^prefix=.*|prefix=${pcfiledir}/../..|' "$work/$name/lib/pkgconfig/libfdfs.pc"
    cp LICENSE CHANGELOG.md bindings/c/README.md "$work/$name/"
    mkdir -p "$folder/c"
    tar -C "$work" --owner=0 --group=0 -czf "$folder/c/$name.tar.gz" "$name"
}

python() {
    local compatibility=manylinux2014
    [[ $1 != *-musl ]] || compatibility=musllinux_1_2
    # Its zig has another name: in one folder each would build all crates anew after the other.
    CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/wheels \
        maturin build --quiet --profile "$FDFS_PROFILE" --locked --zig --target "$1" \
        --compatibility "$compatibility" --manifest-path bindings/python/Cargo.toml \
        --out "$folder/python"
}

# Names the binary as the loader of the package does.
node_binary() {
    local arch=${1%%-*} built
    built=$(build fdfs-node "$1")
    case $arch in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    esac
    mkdir -p "$work/node"
    cp "$built/libfdfs_node.so" "$work/node/fdfs.linux-$arch-${1##*-}.node"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$folder"
mkdir -p "$folder"
for target in "${targets[@]}"; do
    echo "packages for $target"
    c "$target"
    python "$target"
    node_binary "$target"
done
maturin sdist --manifest-path bindings/python/Cargo.toml --out "$folder/python"
bindings/node/pack.sh "$folder/node" "$work"/node/*
FDFS_TARGETS="${targets[*]}" bindings/java/install.sh "$work/java"
cp -r "$work/java/repository" "$folder/java"

# What is looked at is what is in the packages.
for wheel in "$folder"/python/*.whl; do
    python3 -m zipfile -e "$wheel" "$work/wheels/$(basename "$wheel")"
done
python3 -m zipfile -e "$folder/java/io/github/fdfs/fdfs-client/$version/fdfs-client-$version.jar" \
    "$work/jar"
find "$work"/libfdfs-*/lib "$work"/{wheels,node,jar} -type f \
    '(' -name '*.so' -o -name '*.so.*' -o -name '*.node' ')' ! -name '*.sha256' \
    -exec bindings/glibc.sh {} +
find "$folder" -type f -printf '%P %s\n' | sort | while read -r file size; do
    echo "$file $((size / 1024)) KiB"
done
