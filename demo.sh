#!/bin/bash
# Shows MPP on this machine: installs what is missing, builds, runs `make demo`. Arguments go to
# tools/demo.py.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
tools/setup.sh demo
exec make --no-print-directory -j"$(nproc)" demo ARGS="$*"
