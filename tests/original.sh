#!/usr/bin/env bash
# original.sh COMMAND ARGS…: runs a command beside a tracker and a storage of FastDFS itself, whose
# binaries are on PATH; FDFS_TRACKER names the tracker. All of it is in a network namespace of its
# own, since the original refuses trackers on the loopback interface. Exit code 77: they are not
# there, or namespaces cannot be made here.
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,5s/^# *//p' "$0" >&2; exit 2; }
addr=10.77.0.1
# Tries of a tenth of a second until the storage must be active.
tries_max=600

if [ "${ORIGINAL_INSIDE:-}" != 1 ]; then
    for server in fdfs_trackerd fdfs_storaged; do
        version=$("$server" -V 2>/dev/null) || version=
        case $version in
        '' | *'(fdfs '*)
            echo "NOT RUN: $server of FastDFS itself is not on PATH" >&2
            exit 77
            ;;
        esac
    done
    enter=(unshare --net)
    [ "$(id -u)" = 0 ] || enter=(unshare --map-root-user --net)
    if ! "${enter[@]}" ip link show >/dev/null; then
        echo "NOT RUN: no network namespace can be made here" >&2
        exit 77
    fi
    ORIGINAL_INSIDE=1 exec "${enter[@]}" "$0" "$@"
fi
unset ORIGINAL_INSIDE

dir=$(mktemp -d)
pids=()
end() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" || true; done
    rm -rf "$dir"
}
trap end EXIT
ip link set lo up
ip link add original0 type veth peer name original1
ip addr add "$addr/24" dev original0
ip link set original0 up
ip link set original1 up

# The namespace is empty: the usual ports are free.
mkdir "$dir"/{tracker,storage}
cat >"$dir/tracker.conf" <<END
bind_addr = $addr
port = 22122
base_path = $dir/tracker
reserved_storage_space = 1%
store_lookup = 0
log_level = warn
allow_hosts = *
END
# Smaller stacks are refused.
cat >"$dir/storage.conf" <<END
group_name = group1
bind_addr = $addr
port = 23000
base_path = $dir/storage
store_path_count = 1
store_path0 = $dir/storage
subdir_count_per_path = 4
tracker_server = $addr:22122
heart_beat_interval = 1
thread_stack_size = 512KB
log_level = warn
allow_hosts = *
END
fdfs_trackerd "$dir/tracker.conf" -N >"$dir/tracker.log" 2>&1 &
pids+=($!)
fdfs_storaged "$dir/storage.conf" -N >"$dir/storage.log" 2>&1 &
pids+=($!)
printf 'base_path = %s\ntracker_server = %s:22122\nlog_level = error\n' "$dir" "$addr" \
    >"$dir/client.conf"
active() {
    # Kept before it is searched: a search that ends early would end the tool with a broken pipe.
    fdfs_monitor "$dir/client.conf" >"$dir/monitor" 2>/dev/null || return 1
    grep -q ':23000 *ACTIVE' "$dir/monitor"
}
for ((try = 0; ; try++)); do
    ! active || break
    if [ $try = $tries_max ]; then
        echo "the original's storage does not become active:" >&2
        cat "$dir"/*.log "$dir"/*/logs/*.log >&2 || true
        exit 1
    fi
    sleep 0.1
done
FDFS_TRACKER=$addr:22122 "$@"
