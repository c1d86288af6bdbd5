#!/usr/bin/python3
"""`make bench-paths`: what MPP makes of several paths, over emulated links with delay, loss and
faults, beside one path alone and kernel MPTCP on the same links. Runs as bench/run.py does."""

import sys

sys.dont_write_bytecode = True

import run
import paths_aggregate
import paths_failure
import paths_overhead
import paths_redundant
import paths_schedulers
import paths_slower
import paths_topology

PARTS = {part.NAME: part for part in (paths_aggregate, paths_slower, paths_failure, paths_topology,
                                   paths_redundant, paths_overhead, paths_schedulers)}

if __name__ == "__main__":
    sys.exit(run.main(PARTS))
