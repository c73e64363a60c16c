#!/usr/bin/env bash
# check.sh FOLDER: compiler warnings and the unit tests, on the package installed in FOLDER, whose
# jar must have the classes of these sources.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,3s/^# *//p' "$0" >&2; exit 2; }
folder=$(realpath "$1")
jar=$folder/lib/fdfs-client.jar
cd "$(dirname "$0")"
. ../../tests/need.sh
need javac default-jdk-headless
need mvn maven
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The fewest dependencies that do: no formatter, but its limits.
long=$(grep -rnE '^.{101,}$' src examples ../../tests/runners/java --include='*.java' || true)
[ -z "$long" ] || { echo "lines of more than 100 columns:" >&2; echo "$long" >&2; exit 1; }

find src/main/java -name '*.java' >"$work/sources"
javac --release 8 -encoding UTF-8 -Xlint:all,-options -Werror -d "$work/classes" "@$work/sources"
javac --release 8 -encoding UTF-8 -Xlint:all,-options -Werror -cp "$jar" -d "$work/examples" \
    examples/*.java
mvn --quiet --batch-mode -Dstyle.color=never \
    -Dfdfs.tested="$jar" test
# Examples are part of the promise, and what the README shows of them is what they are.
for example in Quickstart Embedded; do
    sed -n "/^    public static void main/,/^    }/p" "examples/$example.java" |
        sed -e '1d;$d' -e 's/^        //' -e '/^Files.delete/d' >"$work/shown"
    [[ $(<README.md) == *"$(<"$work/shown")"* ]] ||
        { echo "README.md shows something else than $example.java" >&2; exit 1; }
done
java -cp "$jar:$work/examples" Embedded | grep -qx hello
cat >"$work/Run.java" <<END
class Run {
    public static void main(String[] args) throws Exception {
        try (var cluster = io.github.fdfs.EmbeddedCluster.start()) {
            Quickstart.main(new String[] {cluster.getTrackerAddress()});
        }
    }
}
END
java -cp "$jar:$work/examples" "$work/Run.java" | grep -qx 'deleted: true'

# The quick start in a Maven project of its own, which gets the package from the repository.
project=$work/project
mkdir -p "$project/src/main/java"
cp examples/Quickstart.java "$project/src/main/java/"
version=$(sed -n 's|^ *<version>\(.*\)</version>$|\1|p' pom.xml | head -n 1)
cat >"$project/pom.xml" <<END
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>quickstart</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.source>8</maven.compiler.source>
    <maven.compiler.target>8</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <repositories>
    <repository><id>here</id><url>file://$folder/repository</url></repository>
  </repositories>
  <dependencies>
    <dependency>
      <groupId>io.github.fdfs</groupId><artifactId>fdfs-client</artifactId>
      <version>$version</version>
    </dependency>
  </dependencies>
</project>
END
# Maven would take one of this version that it has seen before.
rm -rf "$HOME/.m2/repository/io/github/fdfs"
(cd "$project" && mvn --quiet --batch-mode -Dstyle.color=never \
    compile dependency:copy-dependencies)
java -cp "$project/target/classes:$project/target/dependency/*" "$work/Run.java" |
    grep -qx 'deleted: true'
