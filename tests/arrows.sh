#!/usr/bin/env bash
# The dependency rules of ARCHITECTURE.md that the compiler does not see.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0
# forbid PATTERN WHY FILES…
forbid() {
    local pattern=$1 why=$2
    shift 2
    if grep -nE "$pattern" "$@"; then
        echo "not allowed: $why" >&2
        bad=1
    fi
}
mapfile -t pure < <(find core/src -name '*.rs' -not -path '*/net/*' -not -path '*/client/*')
forbid 'tokio|std::net::Tcp|std::fs::|Instant::now|SystemTime::now' \
    'the pure part of the core knows no sockets, files or clock' "${pure[@]}"
mapfile -t core < <(find core/src -name '*.rs')
forbid 'fdfs_servers' 'the core knows no servers' "${core[@]}"
mapfile -t servers < <(find servers/src/tracker servers/src/storage servers/src/daemon -name '*.rs')
forbid 'fdfs_core::client' 'servers do not use the client' "${servers[@]}"
mapfile -t state < <(find servers/src/tracker/state -name '*.rs' -not -path '*/tests*')
forbid 'tokio|SystemTime|std::fs' 'the cluster state is a pure machine' "${state[@]}"
mapfile -t bindings < <(find bindings/*/src -name '*.rs')
forbid '^[^/]*(fdfs_core::(config|exchange|net|protocol|route|token|wire)|fdfs_servers::(daemon|storage|tracker))' \
    'bindings know the client, its errors and ids, and the embedded cluster' "${bindings[@]}"
for file in $(git ls-files '*.rs'); do
    lines=$(wc -l <"$file")
    [ "$lines" -le 700 ] || { echo "$file has $lines lines: two ideas?" >&2; bad=1; }
done
exit $bad
