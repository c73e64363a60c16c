#!/usr/bin/env bash
# make sdk-bench: calls per second of every SDK, beside the client in Rust and the usual client of
# the language, against the same servers in one run.
#   SECS     seconds of each measurement (3)
#   ROUNDS   how often all are measured in turn (3); the median counts
#   SDKS     languages, all by default
#   BLESS=1  writes the table in docs/performance.md anew
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${FDFS_PROFILE:-release}
sdks=${SDKS:-c python node java}
to=${SDK_FOLDER:-${TMPDIR:-/tmp}/fdfs-sdk}
secs=${SECS:-3}
rounds=${ROUNDS:-3}
if [ -z "${FDFS_TRACKER:-}" ]; then
    cargo build --quiet --profile "$profile" -p fdfs-tests --bins
    for sdk in $sdks; do "bindings/$sdk/install.sh" "$to/$sdk"; done
    # Servers on memory: the disk is not what is measured here.
    shm=/dev/shm
    [ -w "$shm" ] || shm=${TMPDIR:-/tmp}
    SDK_FOLDER=$to TMPDIR=$shm exec "${CARGO_TARGET_DIR:-target}/$profile/fdfs-stage" \
        tests/sdk-bench.sh
fi

out=target/bench/sdk
rm -rf "$out"
mkdir -p "$out"
run() { # run NAME COMMAND…
    local name=$1
    shift
    echo "measuring $name" >&2
    "$@" >"$out/now" || { echo "$name ended with $?" >&2; return 0; }
    cat "$out/now" >>"$out/$name.tsv"
}
for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    run rust "${CARGO_TARGET_DIR:-target}/$profile/fdfs-sdk-bench" "$FDFS_TRACKER" "$secs"
    for sdk in $sdks; do
        run "$sdk" "tests/runners/$sdk/bench.sh" "$to/$sdk" "$FDFS_TRACKER" "$secs"
        usual=tests/runners/$sdk/usual.sh
        [ ! -x "$usual" ] || run "$sdk-usual" "$usual" "$FDFS_TRACKER" "$secs"
    done
done
tests/sdk-table.py "$out" $sdks | tee "$out/table.md"
if [ "${BLESS:-}" = 1 ]; then
    sed -i -e '/^<!-- sdks -->$/,/^<!-- end sdks -->$/{//!d}' \
        -e "/^<!-- sdks -->\$/r $out/table.md" docs/performance.md
fi
