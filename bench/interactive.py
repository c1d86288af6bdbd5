"""What three relays in a row add to a 64-byte round trip, everything pinned to one core:

    client -- ingress -- proxy -- egress -- server        against, in the same run:
    client -- socat -- socat -- socat -- server           and a client at the server itself

Without pinning the figures depend on where the scheduler happens to put whom."""

import os
import statistics

from chain import EGRESS, INGRESS, PROXY, Module
from common import LOOPBACK, alternate, loopback_node, run_helper, start_all, stop_all
from relay import COMM as RELAY_COMM
from relay import ENTRY_PORT, SERVER_PORT, wait_ports

NAME = "interactive"
TOOLS = ("socat", "taskset")
ROUND_TRIPS, QUICK_ROUND_TRIPS = 20_000, 2_000
MESSAGE_BYTES = 64
RUNS = 5
NEAR_PORT, FAR_PORT = 7001, 7002
SOCAT_PORTS = (ENTRY_PORT, 5002, 5003)
COMM = {**RELAY_COMM, PROXY: (LOOPBACK, 9003)}
ASKED = {"p50_us": 1.2, "p99_us": 1.5}
OURS, SOCAT, DIRECT = "ingress → proxy → egress", "three socat", "direct"


def measure(bench):
    pin = ("taskset", "-c", str(max(os.sched_getaffinity(0))))
    count = bench.size(ROUND_TRIPS, QUICK_ROUND_TRIPS)
    with bench.make_lab("interactive") as lab:
        node = loopback_node(lab)
        node.start("server", [*pin, *bench.helper("pingpong", "serve", LOOPBACK, SERVER_PORT)])
        node.wait_open_port(SERVER_PORT)
        measured = {case: [] for case in CASES}
        for run in range(bench.runs(RUNS)):
            for case in alternate(CASES, run):
                port, relays = CASES[case](lab, node, pin)
                measured[case].append(run_helper(node, [*pin, *bench.helper(
                    "pingpong", "drive", LOOPBACK, port, count, MESSAGE_BYTES)]))
                stop_all(relays)
        for figure, bound in ASKED.items():
            tell(bench.report, measured, figure, bound)


def tell(report, measured, figure, bound):
    name = figure.removesuffix("_us")
    taken = {case: [said[figure] for said in all_said] for case, all_said in measured.items()}
    for case, samples in taken.items():
        report.row(NAME, case, f"round trip {name}", samples, "µs")
    # Paired with the median of the direct runs: their own noise would only widen the spread.
    base = statistics.median(taken[DIRECT])
    added = [(ours - base) / (socat - base) for ours, socat in zip(taken[OURS], taken[SOCAT])]
    report.row(NAME, "ours : three socat", f"ratio of what they add at {name}", added, "×",
               ("<=", bound))


# ---- what is between: each returns the port to connect to and the processes ----
def direct(_lab, _node, _pin):
    return SERVER_PORT, []


def chain_of_ours(lab, node, pin):
    def start(program, listen, backend):
        return Module(lab, node, program, listen, backend, comm=COMM[program], wrap=pin)

    near, far = (LOOPBACK, NEAR_PORT, 1), (LOOPBACK, FAR_PORT, 1)
    modules = [start(EGRESS, [far], [(LOOPBACK, SERVER_PORT, 0)]), start(PROXY, [near], [far]),
               start(INGRESS, [(LOOPBACK, ENTRY_PORT, 0)], [near])]
    return ENTRY_PORT, start_all(modules)


def socat(_lab, node, pin):
    relays = [node.start(f"socat-{port}", [
        *pin, "socat", f"TCP-LISTEN:{port},bind={LOOPBACK},reuseaddr",
        f"TCP:{LOOPBACK}:{next_port}"])
        for port, next_port in zip(SOCAT_PORTS, [*SOCAT_PORTS[1:], SERVER_PORT])]
    wait_ports(node, SOCAT_PORTS)
    return ENTRY_PORT, relays


CASES = {DIRECT: direct, OURS: chain_of_ours, SOCAT: socat}
