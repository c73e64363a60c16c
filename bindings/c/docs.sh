#!/usr/bin/env bash
# docs.sh FOLDER: the documentation of include/libfdfs.h as HTML.
set -euo pipefail
folder=$(realpath -m "$1")
cd "$(dirname "$0")/../.."
. tests/need.sh
need doxygen doxygen
mkdir -p "$folder"
doxygen - <<EOF
PROJECT_NAME = libfdfs
INPUT = include/libfdfs.h bindings/c/README.md
USE_MDFILE_AS_MAINPAGE = bindings/c/README.md
OUTPUT_DIRECTORY = "$folder"
HTML_OUTPUT = .
GENERATE_LATEX = NO
OPTIMIZE_OUTPUT_FOR_C = YES
JAVADOC_AUTOBRIEF = YES
EXTRACT_ALL = YES
HAVE_DOT = NO
QUIET = YES
WARN_AS_ERROR = YES
EOF
