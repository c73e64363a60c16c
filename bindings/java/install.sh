#!/usr/bin/env bash
# install.sh FOLDER: builds the package with javac and jar alone and installs it into FOLDER:
#   lib/fdfs-client.jar   for a class path
#   repository/           a Maven repository with the same jar, its sources and its documentation
# FDFS_PROFILE names the cargo profile, FDFS_TARGETS what the jar has libraries for, if not only for
# this machine: see ../build.sh.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,6s/^# *//p' "$0" >&2; exit 2; }
mkdir -p "$1"
to=$(realpath "$1")
cd "$(dirname "$0")"
. ../../tests/need.sh
need javac default-jdk-headless

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' ../../Cargo.toml | head -n 1)
grep -q "<version>$version</version>" pom.xml || { echo "pom.xml is not $version" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

classes=$work/classes
mkdir -p "$classes/META-INF/maven/io.github.fdfs/fdfs-client"
find src/main/java -name '*.java' >"$work/sources"
javac --release 8 -encoding UTF-8 -Xlint:-options -d "$classes" "@$work/sources"
for target in ${FDFS_TARGETS:-""}; do FDFS_TARGET=$target ./native.sh "$classes"; done
cp ../../LICENSE "$classes/META-INF/LICENSE"
cp pom.xml "$classes/META-INF/maven/io.github.fdfs/fdfs-client/pom.xml"
cat >"$work/manifest" <<END
Automatic-Module-Name: io.github.fdfs
Enable-Native-Access: ALL-UNNAMED
Implementation-Title: fdfs-client
Implementation-Version: $version
END

rm -rf "$to/lib" "$to/repository"
place=$to/repository/io/github/fdfs/fdfs-client/$version
mkdir -p "$to/lib" "$place"
jar=$place/fdfs-client-$version
jar --create --file "$jar.jar" --manifest "$work/manifest" -C "$classes" .
jar --create --file "$jar-sources.jar" -C src/main/java .
./docs.sh "$work/docs"
jar --create --file "$jar-javadoc.jar" -C "$work/docs" .
cp pom.xml "$jar.pom"
cp "$jar.jar" "$to/lib/fdfs-client.jar"
