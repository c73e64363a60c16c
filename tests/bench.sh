#!/usr/bin/env bash
# make bench: our servers, and with BASELINE=folder the original's beside them, in one run.
#   BASELINE   folder with the original's fdfs_trackerd and fdfs_storaged
#   SECS       seconds of each run (10)      ROUNDS  runs of each case (5)
#   ONLY       only cases whose name contains this
#   DISK       folder for file system images (target/bench); empty for none
#   REPLICATION=1  measures how fast a group of two replicates instead; takes root and BASELINE
#   BLESS=1    writes docs/performance.md and the committed baseline anew
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/need.sh

profile=${FDFS_PROFILE:-release}
cargo build --quiet --profile "$profile" --bins -p fdfs-servers -p fdfs-tests
release=${CARGO_TARGET_DIR:-$PWD/target}/$profile
if [ "${REPLICATION:-}" = 1 ]; then
    need ip iproute2
    exec "$release/fdfs-replication-bench" --ours "$release" --original "$BASELINE" --rounds "${ROUNDS:-3}"
fi
need strace strace
need mkfs.ext4 e2fsprogs
out=$PWD/target/bench
mkdir -p "$out"
args=(--ours "$release" --out "$out" --secs "${SECS:-10}" --rounds "${ROUNDS:-5}" --only "${ONLY:-}"
    --baseline tests/bench-baseline.json)
[ -z "${BASELINE:-}" ] || args+=(--original "$BASELINE")
# Mounting images takes root.
disk=${DISK-$out}
if [ -n "$disk" ] && [ "$(id -u)" = 0 ]; then args+=(--disk "$disk"); fi

# A network of its own: the original refuses trackers on 127.0.0.1.
map=()
[ "$(id -u)" = 0 ] || map=(--map-root-user)
ulimit -n 40000 2>/dev/null || ulimit -n "$(ulimit -Hn)"
unshare "${map[@]}" --net sh -c '
    ip link set lo up && ip addr add 10.77.0.1/32 dev lo && exec "$@"
' bench "$release/fdfs-bench" --host 10.77.0.1 "${args[@]}"

if [ "${BLESS:-}" = 1 ]; then
    cp "$out/baseline.json" tests/bench-baseline.json
    sed -i -e '/^<!-- bench -->$/,/^<!-- end -->$/{//!d}' -e "/^<!-- bench -->\$/r $out/report.md" docs/performance.md
fi
