#!/usr/bin/env bash
# glibc.sh LIBRARY…: tells which glibc each needs, by its dynamic symbols. A newer one than packages
# promise is an error.
set -euo pipefail
. "$(dirname "$0")/build.sh"
for library; do
    symbols=$(readelf --wide --dyn-syms "$library")
    needed=$(grep -oE 'GLIBC_[0-9.]+' <<<"$symbols" | sort -Vu | tail -n 1 || true)
    echo "${library##*/} needs ${needed:-no glibc}"
    newest=$(printf '%s\n' "GLIBC_$glibc" "$needed" | sort -V | tail -n 1)
    [ "$newest" = "GLIBC_$glibc" ] || { echo "$library: $needed is not promised" >&2; exit 1; }
done
