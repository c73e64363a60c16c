#!/usr/bin/env bash
# native.sh FOLDER: builds the native library and puts it, with its SHA-256, where the jar has it:
# FOLDER/native/<os>-<arch>[-musl]/. FDFS_PROFILE and FDFS_TARGET say for what: see ../build.sh.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,3s/^# *//p' "$0" >&2; exit 2; }
to=$(realpath -m "$1")
cd "$(dirname "$0")/../.."
. bindings/build.sh
target=${FDFS_TARGET:-}
built=$(build fdfs-java "$target")

[ -n "$target" ] || target=$(rustc -vV | sed -n 's/^host: //p')
arch=${target%%-*}
case $target in
*-linux-musl) library=libfdfs_java.so platform=linux-$arch-musl ;;
*-linux-*) library=libfdfs_java.so platform=linux-$arch ;;
*-darwin) library=libfdfs_java.dylib platform=macos-$arch ;;
*) library=fdfs_java.dll platform=windows-$arch ;;
esac
place=$to/native/$platform
mkdir -p "$place"
cp "$built/$library" "$place/$library"
# Symbols for debuggers are most of its size; packages have a profile without them.
[ -n "${FDFS_TARGET:-}" ] || ! command -v strip >/dev/null || strip -S "$place/$library"
sha256sum "$place/$library" | cut -d' ' -f1 >"$place/$library.sha256"
