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
fdfs_file_info "$conf" "$id" >"$dir/log"
grep -q 'file size: 6' "$dir/log"
echo "ok info"
# fdfs_test uploads a file and its slave. Its output is kept before it is searched, since a search
# that ends early would end the tool with a broken pipe.
fdfs_test "$conf" upload "$dir/a.txt" >"$dir/log"
mapfile -t names < <(sed -n 's/^group_name=\(.*\), remote_filename=\(.*\)$/\1 \2/p' "$dir/log")
slave=${names[1]/ //}
[[ $slave == *_big.txt ]]
fdfs_download_file "$conf" "$slave" "$dir/slave"
cmp "$dir/a.txt" "$dir/slave"
echo "ok slave"
read -r group name <<<"${names[0]}"
fdfs_test "$conf" setmeta "$group" "$name" O author=me,width=320 >/dev/null
fdfs_test "$conf" setmeta "$group" "$name" M height=80 >/dev/null
fdfs_test "$conf" getmeta "$group" "$name" >"$dir/meta"
for item in author=me width=320 height=80; do grep -q "$item" "$dir/meta"; done
echo "ok metadata"
appender=$(fdfs_upload_appender "$conf" "$dir/a.txt")
fdfs_append_file "$conf" "$appender" "$dir/b.txt"
fdfs_download_file "$conf" "$appender" "$dir/both"
cat "$dir/a.txt" "$dir/b.txt" | cmp - "$dir/both"
fdfs_regenerate_filename "$conf" "$appender" >"$dir/renamed"
grep -q '^group' "$dir/renamed"
echo "ok appender"
fdfs_delete_file "$conf" "$id"
# The exit code of this tool says nothing about a missing file, so the file must not appear.
fdfs_download_file "$conf" "$id" "$dir/gone" >/dev/null 2>&1 || true
[ ! -e "$dir/gone" ]
echo "ok delete"
fdfs_monitor "$conf" >"$dir/log" 2>/dev/null
grep -q ACTIVE "$dir/log"
echo "ok monitor"
