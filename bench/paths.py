#!/usr/bin/python3
"""`make bench-paths`: what MPP makes of several paths, over emulated links with delay, loss and
faults, beside one path alone and kernel MPTCP on the same links. Runs as bench/run.py does."""

import sys

sys.dont_write_bytecode = True

import run
import paths_failure

PARTS = {part.NAME: part for part in (paths_failure,)}

if __name__ == "__main__":
    sys.exit(run.main(PARTS))
