#!/usr/bin/env bash
# check.sh PREFIX: what must be true of libfdfs as installed under PREFIX. On the stage (fdfs-stage).
set -euo pipefail
prefix=$(realpath "$1")
cd "$(dirname "$0")"
. ../../tests/need.sh
need g++ g++
need pkg-config pkg-config
need cmake cmake make
need valgrind valgrind libc6-dbg
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict="-Wall -Wextra -Wpedantic -Werror"
flags=$(pkg-config --cflags --libs libfdfs)
said() { echo "ok c: $*"; }

# Symbols: ours only, and none that FastDFS' own client library has.
nm -D --defined-only "$prefix/lib/libfdfs.so" | awk '{print $3}' | sort >"$work/symbols"
! grep -v '^fdfs_' "$work/symbols" || { echo "symbols that are not fdfs_*" >&2; exit 1; }
both=$(comm -12 "$work/symbols" <(sort tests/original_symbols.txt))
[ -z "$both" ] || { echo "symbols of the original, too: $both" >&2; exit 1; }
declared=$(grep -oE '\bfdfs_[a-z_]+\(' "$prefix/include/libfdfs.h" | tr -d '(' | sort -u)
missing=$(comm -3 "$work/symbols" <(echo "$declared"))
[ -z "$missing" ] || { echo "header and library differ: $missing" >&2; exit 1; }
readelf -d "$prefix/lib/libfdfs.so" | grep -q 'SONAME.*\[libfdfs.so.1\]'
said symbols

# Packages are refused when they need a newer glibc than is promised. That of getrandom is 2.25.
echo 'long getrandom(void *, unsigned long, unsigned); long f(void) { return getrandom(0, 0, 0); }' |
    cc -x c -shared -fPIC -o "$work/newer.so" -
echo 'int f(void) { return 0; }' | cc -x c -shared -fPIC -o "$work/older.so" -
../glibc.sh "$work/older.so" >/dev/null
! ../glibc.sh "$work/newer.so" >"$work/said" 2>&1 || { echo "missed: $(<"$work/said")" >&2; exit 1; }
said glibc

# The quick start as C99, shared and static; the header alone; C++.
# shellcheck disable=SC2086
{
    echo '#include <libfdfs.h>' >"$work/header.c"
    cc -std=c99 $strict -c -o "$work/header.o" "$work/header.c" $flags
    cc -std=c99 $strict -o "$work/quickstart" examples/quickstart.c $flags
    cc -std=c99 $strict -o "$work/static" examples/quickstart.c $(pkg-config --cflags libfdfs) \
        "$prefix/lib/libfdfs.a" $(pkg-config --libs --static libfdfs | sed "s|-lfdfs||; s|-L[^ ]*||")
    cc -std=c99 $strict -o "$work/queue" examples/queue.c $flags
    c++ -std=c++11 $strict -o "$work/embedded" examples/embedded.cpp $flags
}
"$work/quickstart" "$FDFS_TRACKER" ../../Cargo.toml
LD_LIBRARY_PATH='' "$work/static" "$FDFS_TRACKER" ../../Cargo.toml
"$work/queue" "$FDFS_TRACKER"
"$work/embedded"
said examples

cat >"$work/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.16)
project(quickstart C)
find_package(fdfs 0.1 REQUIRED)
foreach(kind fdfs static)
  add_executable(with_\${kind} "$PWD/examples/quickstart.c")
  target_link_libraries(with_\${kind} fdfs::\${kind})
endforeach()
EOF
cmake -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/with_fdfs" "$FDFS_TRACKER" ../../Cargo.toml
"$work/build/with_static" "$FDFS_TRACKER" ../../Cargo.toml
said cmake

RUNNER=$work/runner ../../tests/runners/c/run.sh "$prefix" -fork >/dev/null
said fork
RUNNER=$work/runner ../../tests/runners/c/run.sh "$prefix" -queue -queue_given_up >/dev/null
said queue

# Memory: every scenario but those that measure it, under AddressSanitizer; the small ones under
# valgrind.
quick="ranges appender slave metadata errors cluster ids conf address_widths cut half_reply stall"
# shellcheck disable=SC2086
{
    CFLAGS='-fsanitize=address,undefined' RUNNER=$work/asan \
        ../../tests/runners/c/run.sh "$prefix" $quick round_trips files_and_streams concurrent \
        embedded -queue -queue_given_up >/dev/null
    said address sanitizer
    # Not the embedded cluster: rustix cannot read the vDSO that valgrind shows. And what the
    # runtime's own threads hold when the process ends is no leak.
    definite="--leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
    RUNNER=$work/plain WRAP="valgrind -q --error-exitcode=9 $definite" \
        ../../tests/runners/c/run.sh "$prefix" $quick -queue -queue_given_up >/dev/null
    said valgrind
}
