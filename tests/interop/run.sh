#!/usr/bin/env bash
# Runs one existing client against a tracker: run.sh python|node|java|ctools HOST PORT
# Prints `ok SCENARIO` for each scenario; exit code 77: it is not installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
client=$1 host=$2 port=$3
to=$PWD/${FDFS_INTEROP:-target/interop}
case $client in
python) "$to/python/bin/python" tests/interop/python/run.py "$host" "$port" ;;
node) FDFS_INTEROP_MODULES=$to/node node tests/interop/node/run.cjs "$host" "$port" ;;
java)
    jar=$(echo "$to"/java/*.jar)
    javac -nowarn -cp "$jar" -d "$to/java" tests/interop/java/Run.java
    java -cp "$jar:$to/java" Run "$host" "$port"
    ;;
ctools) tests/interop/ctools.sh "$host" "$port" ;;
*) echo "unknown client $client" >&2; exit 2 ;;
esac
