#!/usr/bin/env bash
# Runs one existing client against a tracker: run.sh CLIENT HOST PORT
# where CLIENT is a folder beside this script, or ctools.
# Prints `ok SCENARIO` for each scenario; exit code 77: it is not installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
client=$1 host=$2 port=$3
to=$(realpath -m "${FDFS_INTEROP:-target/interop}")
case $client in
python*) "$to/$client/bin/python" "tests/interop/$client/run.py" "$host" "$port" ;;
node) FDFS_INTEROP_MODULES=$to/node node tests/interop/node/run.cjs "$host" "$port" ;;
java)
    jar=$(echo "$to"/java/*.jar)
    javac -nowarn -cp "$jar" -d "$to/java" tests/interop/java/Run.java
    java -cp "$jar:$to/java" Run "$host" "$port"
    ;;
java-tobato)
    # Its Spring is too old to read newer class files or to be let into java.lang.
    jars="$to/$client/*:$to/$client"
    javac -nowarn --release 8 -Xlint:-options -cp "$jars" -d "$to/$client" \
        "tests/interop/$client/Run.java"
    java --add-opens java.base/java.lang=ALL-UNNAMED -cp "$jars" Run "$host" "$port"
    ;;
ctools) tests/interop/ctools.sh "$host" "$port" ;;
*) echo "unknown client $client" >&2; exit 2 ;;
esac
