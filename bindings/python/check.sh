#!/usr/bin/env bash
# check.sh FOLDER: types, stubs, lints and unit tests, on the package that install.sh put there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tests/need.sh"
[ $# = 1 ] || { echo "usage: check.sh FOLDER" >&2; exit 2; }
folder=$(cd "$1" && pwd)
# pyright runs on it.
need node nodejs
venv=$folder/check
python3 -m venv --clear "$venv"
"$venv/bin/pip" install --quiet pytest==9.2.0 mypy==2.4.1 pyright==1.1.414 ruff==0.17.5 \
    typing_extensions==4.16.0
"$venv/bin/pip" install --quiet --no-index "$folder"/wheels/fdfs-*.whl

# Not from the sources: what is checked must be what is installed.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here/tests" "$here/examples" "$here/pyproject.toml" "$here/README.md" "$work"
cd "$work"
export PYTHONDONTWRITEBYTECODE=1
package=$("$venv/bin/python" -c 'import fdfs, os; print(os.path.dirname(fdfs.__file__))')

ours=("$here" "$here/../../tests/runners/python")
echo "ruff" && "$venv/bin/ruff" check --no-cache --config pyproject.toml "${ours[@]}"
"$venv/bin/ruff" format --no-cache --config pyproject.toml --check "${ours[@]}"
echo "mypy" && "$venv/bin/mypy" --cache-dir "$work/mypy" -p fdfs
"$venv/bin/mypy" --cache-dir "$work/mypy" examples
echo "stubtest" && "$venv/bin/stubtest" fdfs._native
echo "pyright" && "$venv/bin/pyright" --pythonpath "$venv/bin/python" "$package" examples
echo "pytest" && "$venv/bin/pytest"

# The source distribution has all sources. sdist.sh builds it, which takes minutes.
cd "$here/../.."
"$folder/tools/bin/maturin" sdist --manifest-path bindings/python/Cargo.toml --out "$work/sdist" \
    >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
git ls-files Cargo.lock {core,servers,bindings/python}/{Cargo.toml,src} | sort >"$work/sources"
tar tzf "$work"/sdist/fdfs-*.tar.gz | cut -d/ -f2- | sort | comm -13 - "$work/sources" >"$work/missing"
[ ! -s "$work/missing" ] || { echo "not in the sdist:" && cat "$work/missing"; exit 1; } >&2
echo "sdist"
