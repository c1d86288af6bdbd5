#!/usr/bin/python3
"""`make bench-echo`: the echo suite's four models side by side, beside a bare epoll loop and the
tools that people have; and a chart of them. Runs as bench/run.py does, under tools/limits.sh."""

import sys

sys.dont_write_bytecode = True

import run
import echo_chart
import echo_connections
import echo_messages

PARTS = {part.NAME: part for part in (echo_connections, echo_messages)}

if __name__ == "__main__":
    sys.exit(run.main(PARTS, echo_chart.write))
