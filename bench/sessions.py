"""Many sessions at once through one chain, unshaped but for the last part:

                       +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
                       +-- relay3 --+

A thousand that move 1 MB both ways; five thousand of which two thousand stop reading while they
are written to in 64-byte pieces, with a ping-pong beside them; ten downloads without end that
share shaped links. bench/crowd.c is both the clients and the server."""

import json
import pathlib

from chain import Chain
from common import LOOPBACK, expect_exact, run_helper, stop_all
from lab import expect, wait_for
from peers import MB, Job

NAME = "sessions"
TOOLS = ()
RUNS = 1
COUNT, QUICK_COUNT = 1000, 200
STALL = {False: (5000, 2000), True: (500, 200)}  # by --quick: sessions, of these stalled
PINGS, QUICK_PINGS = 4000, 500
PING_BYTES, PING_EVERY_US = 64, 5000
PING_BOUND_MS = 50
CONTROL = (LOOPBACK, 8090)  # in the client's node: what the busy machine alone costs
FAIR_COUNT, FAIR_S, QUICK_FAIR_S = 10, 20, 3
FAIR_RATES_MBIT = [50, 100, 150]
JAIN_BOUND = 0.95
LIMIT_S = 600
SLACK_MIB = 64  # code, stacks and the C library's own beside the limit
MIB = 2**20


def measure(bench):
    exchange(bench)
    stall(bench)
    fair(bench)


class Crowd:
    """The helper in the client's node, with the server's listener."""

    def __init__(self, bench, chain, mode, count, amount):
        self.chain, self.mode = chain, mode
        self.output = chain.lab.folder / f"crowd-{mode}.json"
        with chain.listen() as listener, open(self.output, "wb") as out:
            self.process = chain.client.start("crowd", bench.helper(
                "crowd", mode, *chain.entry, count, amount), stdin=listener, stdout=out)

    def said(self):
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def wait_open(self):
        """Returns how long that took."""
        wait_for(lambda: self.said() or not self.process.is_running(), "all sessions open",
                 LIMIT_S)
        expect(self.said(), f"crowd {self.mode} ended: {self.process.log().strip()[-500:]}")
        return self.said()[0]["seconds"]

    def result(self):
        code = self.process.wait(LIMIT_S)
        expect_exact(code, f"crowd {self.mode}", self.process.log()[-500:])
        return self.said()[1]


def run_each(bench, name, work, **chain_arguments):
    """`work(chain)` once for each run, each with new modules; returns the list of results."""
    results = []
    for run in range(bench.runs(RUNS)):
        with bench.make_lab(f"{name}{run}") as lab:
            chain = Chain(lab, **chain_arguments)
            small_buffers(chain)
            chain.ready()
            results.append(work(chain))
    return results


def small_buffers(chain):
    """The kernel's buffers at client and server are not the subject."""
    for node in (chain.client, chain.server):
        node.set("net/ipv4/tcp_rmem", "4096 65536 65536")
        node.set("net/ipv4/tcp_wmem", "4096 65536 65536")


# ---- a thousand at once ----
def exchange(bench):
    count = bench.size(COUNT, QUICK_COUNT)

    def work(chain):
        crowd = Crowd(bench, chain, "exchange", count, MB)
        opened_s = crowd.wait_open()
        said = crowd.result()
        stop_all(chain.modules())
        return opened_s, said["seconds"], said["exact"]

    opened_s, seconds, exact = zip(*run_each(bench, "exchange", work))
    case = f"{count} at once, 1 MB both ways"
    bench.report.row(NAME, case, "until all are open", opened_s, "s")
    bench.report.row(NAME, case, "until all have ended", seconds, "s")
    bench.report.row(NAME, case, "exact", exact, "", (">=", count))


# ---- readers that stop ----
def peak_bytes(module):
    """The most that was ever resident."""
    status = pathlib.Path(f"/proc/{module.popen.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def stall(bench):
    count, stalled = STALL[bench.quick]
    pings = bench.size(PINGS, QUICK_PINGS)

    def work(chain):
        def ping(address):
            return run_helper(chain.client, bench.helper(
                "pingpong", "drive", *address, pings, PING_BYTES, PING_EVERY_US))

        chain.client.start("control", bench.helper("pingpong", "serve", *CONTROL))
        chain.client.wait_open(*CONTROL)
        crowd = Crowd(bench, chain, "stall", count, stalled)
        crowd.wait_open()
        control = Job(ping, CONTROL)
        through = ping(chain.entry)
        control = control.result()
        memory = {m.name: (peak_bytes(m), m.stats()["memory"]) for m in chain.modules()}
        crowd.process.signal(15)  # what was held back is read now, and must be right
        said = crowd.result()
        stop_all(chain.modules())
        return (through, control), memory, said

    results = run_each(bench, "stall", work)
    case = f"{count} sessions, {stalled} of them stalled"
    tell_stall(bench.report, case, results)


def tell_stall(report, case, results):
    for name, (_, memory) in results[0][1].items():
        bound = memory["limit_bytes"] / MIB + SLACK_MIB
        report.row(NAME, case, f"peak RSS of {name}",
                   [memories[name][0] / MIB for _, memories, _ in results], "MiB", ("<=", bound))
    for figure, bound in (("p50", None), ("p99", ("<=", PING_BOUND_MS)), ("max", None)):
        for i, way in enumerate(("through the chain", "past it, on the same cores")):
            report.row(NAME, case, f"ping-pong beside them, {way}, {figure}",
                       [pings[i][f"{figure}_us"] / 1000 for pings, _, _ in results], "ms",
                       None if i else bound)
    report.row(NAME, case, "exact when read at last", [said["exact"] for _, _, said in results],
               "", (">=", results[0][2]["sessions"]))
    last = results[-1][2]
    report.note(f"{case}: {last['stalled_bytes'] / MB:.0f} MB in 64-byte pieces to those that "
                f"had stopped, {last['pieces']} pieces to the others")


# ---- one tunnel shared ----
def jain(amounts):
    squares = sum(a * a for a in amounts)
    return sum(amounts) ** 2 / (len(amounts) * squares) if squares else 0


def fair(bench):
    seconds = bench.size(FAIR_S, QUICK_FAIR_S)

    def work(chain):
        got = Crowd(bench, chain, "fair", FAIR_COUNT, seconds).result()["got"]
        stop_all(chain.modules())
        return jain(got), sum(got) * 8 / 1e6 / seconds

    index, mbit = zip(*run_each(bench, "fair", work, rates_mbit=FAIR_RATES_MBIT,
                                ratios=[1, 2, 3]))
    case = f"{FAIR_COUNT} downloads over 50+100+150 Mbit/s, {seconds} s"
    bench.report.row(NAME, case, "Jain index", index, "", (">=", JAIN_BOUND))
    bench.report.row(NAME, case, "together", mbit, "Mbit/s")
