#!/bin/bash
# Tests MPP on this machine: installs what is missing, builds, runs `make check`. Arguments go to
# tools/check.py.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
tools/setup.sh check
exec make --no-print-directory -j"$(nproc)" check ARGS="$*"
