#!/usr/bin/env bash
# native.sh FOLDER: builds the native library and puts it, with its SHA-256, where the jar has it:
# FOLDER/native/<os>-<arch>[-musl]/. FDFS_PROFILE names the cargo profile.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,3s/^# *//p' "$0" >&2; exit 2; }
to=$(realpath -m "$1")
cd "$(dirname "$0")/../.."
profile=${FDFS_PROFILE:-release}
cargo build --quiet --profile "$profile" -p fdfs-java
folder=$profile
[ "$profile" != dev ] || folder=debug

arch=$(uname -m)
[ "$arch" != arm64 ] || arch=aarch64
case $(uname -s) in
Linux)
    library=libfdfs_java.so platform=linux-$arch
    [ ! -e "/lib/ld-musl-$arch.so.1" ] || platform=$platform-musl
    ;;
Darwin) library=libfdfs_java.dylib platform=macos-$arch ;;
*) library=fdfs_java.dll platform=windows-$arch ;;
esac
place=$to/native/$platform
mkdir -p "$place"
cp "${CARGO_TARGET_DIR:-target}/$folder/$library" "$place/$library"
# Symbols for debuggers are most of its size.
! command -v strip >/dev/null || strip -S "$place/$library"
sha256sum "$place/$library" | cut -d' ' -f1 >"$place/$library.sha256"
