#!/usr/bin/env bash
# install.sh PREFIX: builds libfdfs and installs it under PREFIX (with DESTDIR before it, if set):
# shared and static library, header, pkg-config and CMake files. FDFS_PROFILE and FDFS_TARGET say for
# what: see ../build.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/need.sh
. bindings/build.sh
need cc gcc libc6-dev
prefix=$(realpath -m "${1:?which prefix?}")
to=${DESTDIR:-}$prefix
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

said=$(mktemp)
trap 'rm -f "$said"' EXIT
built=$(build fdfs-c "${FDFS_TARGET:-}" --print native-static-libs 2>"$said") ||
    { cat "$said" >&2; exit 1; }
private=$(sed -n 's/^note: native-static-libs: //p' "$said")
mkdir -p "$to"/{include,lib/pkgconfig,lib/cmake/fdfs}
install -m 755 "$built/libfdfs.so" "$to/lib/libfdfs.so.$version"
ln -sf "libfdfs.so.$version" "$to/lib/libfdfs.so.1"
ln -sf libfdfs.so.1 "$to/lib/libfdfs.so"
install -m 644 "$built/libfdfs.a" "$to/lib/"
install -m 644 include/libfdfs.h "$to/include/"
sed -e "s|@PREFIX@|$prefix|; s|@VERSION@|$version|; s|@PRIVATE@|${private:--lpthread -lm -ldl -lc}|" \
    bindings/c/libfdfs.pc.in >"$to/lib/pkgconfig/libfdfs.pc"
install -m 644 bindings/c/cmake/fdfsConfig.cmake "$to/lib/cmake/fdfs/"
sed "s|@VERSION@|$version|" bindings/c/cmake/fdfsConfigVersion.cmake.in \
    >"$to/lib/cmake/fdfs/fdfsConfigVersion.cmake"
