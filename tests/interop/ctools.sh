#!/usr/bin/env bash
# Drives the command line tools of FastDFS itself, when they are on PATH: ctools.sh HOST PORT
set -euo pipefail
if ! command -v fdfs_upload_file >/dev/null || ! command -v fdfs_upload_appender >/dev/null; then
    echo "not run: the tools of FastDFS are not on PATH" >&2
    exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
conf=$dir/client.conf
printf 'base_path=%s\ntracker_server=%s:%s\nlog_level=error\n' "$dir" "$1" "$2" >"$conf"
echo hello >"$dir/a.txt"
echo world >"$dir/b.txt"

id=$(fdfs_upload_file "$conf" "$dir/a.txt")
echo "ok upload"
fdfs_download_file "$conf" "$id" "$dir/down"
cmp "$dir/a.txt" "$dir/down"
echo "ok download"
fdfs_download_file "$conf" "$id" "$dir/part" 1 3
[ "$(cat "$dir/part")" = ell ]
echo "ok download_range"
fdfs_file_info "$conf" "$id" | grep -q 'file size: 6'
echo "ok info"
# fdfs_test uploads with metadata, uploads a slave, and reads both back.
fdfs_test "$conf" upload "$dir/a.txt" | tee "$dir/log" | grep -q '_big.txt'
name=$(sed -n 's/^group_name=\(.*\), remote_filename=\(.*\)$/\1 \2/p' "$dir/log" | head -1)
# shellcheck disable=SC2086
fdfs_test "$conf" getmeta $name | grep -q 'width=160'
echo "ok slave"
echo "ok metadata"
appender=$(fdfs_upload_appender "$conf" "$dir/a.txt")
fdfs_append_file "$conf" "$appender" "$dir/b.txt"
fdfs_download_file "$conf" "$appender" "$dir/both"
cat "$dir/a.txt" "$dir/b.txt" | cmp - "$dir/both"
fdfs_regenerate_filename "$conf" "$appender" | grep -q '^group'
echo "ok appender"
fdfs_delete_file "$conf" "$id"
! fdfs_download_file "$conf" "$id" "$dir/gone" >/dev/null 2>&1
echo "ok delete"
fdfs_monitor "$conf" 2>/dev/null | grep -q ACTIVE
echo "ok monitor"
