#!/usr/bin/python3
"""`make bench-cli`: how planning grows, and how fast the orchestrator builds and changes the five-PoP
network. Runs as bench/run.py does."""

import sys

sys.dont_write_bytecode = True

import run
import cli_m5
import cli_plan

PARTS = {part.NAME: part for part in (cli_m5, cli_plan)}

if __name__ == "__main__":
    sys.exit(run.main(PARTS))
