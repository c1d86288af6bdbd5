#!/usr/bin/python3
"""`make bench-mcast`: the multicast relay beside socat and a rule of nftables that rewrites in the
kernel. Runs as bench/run.py does."""

import sys

sys.dont_write_bytecode = True

import run
import mcast_density
import mcast_latency
import mcast_moves
import mcast_rate
import mcast_rules

PARTS = {part.NAME: part for part in (mcast_density, mcast_rate, mcast_rules, mcast_latency,
                                   mcast_moves)}

if __name__ == "__main__":
    sys.exit(run.main(PARTS))
