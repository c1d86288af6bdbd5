"""The highest rate of one stream that is relayed without a loss, with receive buffers of the
kernel's ordinary size (some 90 packets): one worker of multicast_relay, one socat, and a rule of
nftables that rewrites address and port and forwards in the kernel; and that worker by its other
receive paths, with the smallest rings that there are (some 500 packets). They have one core, the sender
has the other one; the rule runs on the sender's. The sender sends

- `sendto`: a call for each packet
- `frames`: packets of their own too, but made at the least cost, so that the sender is not what is
  measured (still, all that happens up to the relay's socket happens on its core)
- `gso`: 60 packets a call, which stay together (UDP GSO)

A rate holds when in one of three runs as many packets left the relay as had entered it. Found by
bisection; where the sender's own highest rate holds, that is the figure and a note says so. The
target drops what comes where it comes in: nothing is lost there, nothing read."""

import math

from common import alternate, run_helper
from lab import expect_equal
from mcast_place import SIZE, SOCAT, Counters, Ours, Socat, per_cent_lost
from multicasting import (IN_GROUP, IN_PORT, OUT_GROUP, OUT_PORT, Place, expect_exact)

NAME = "rate"
TOOLS = ("nft", "taskset", "ethtool", SOCAT)
RUNS = 3
SECONDS, QUICK_SECONDS = 5, 1
STEP, QUICK_STEP = 1.05, 1.3  # how near the bounds come to each other
TRIES = 3
LEAST_PPS, MOST_PPS = 5_000, 10_000_000
BUFFER = "208K"  # of the kernel's own accounting: net.core.rmem_default
RING_BUFFER = "4K"  # 16 of these are one ring, which has a least size
OURS = "ours, 1 worker"
RELAY_CPU, SENDER_CPU = "0", "1"  # worker 0 is on the first one
SENDERS = {"sendto": 1, "frames": 16, "gso": 60}  # and packets a call
NEAR = 0.95  # of what was asked, else the sender was too slow
RULE = "nftables rule"
TIMES_SOCAT, GSO_PPS = 2, 1_000_000


class Rule:
    """No process: packets are rewritten where they come in, and go on to the other interface."""

    name = RULE
    make_counters = Counters

    def __init__(self, place):
        self.place = place

    def start(self):
        place = self.place
        mac = "01:00:5e:0a:01:01"  # of OUT_GROUP
        place.node.output(["nft", "-f", "-"], input="\n".join((
            "table netdev relay {", "chain relay {",
            f'type filter hook ingress device "{place.input}" priority 0;',
            f"ip daddr {IN_GROUP} udp dport {IN_PORT} ether daddr set {mac} "
            f"ip daddr set {OUT_GROUP} udp dport set {OUT_PORT} fwd to \"{place.output}\"",
            "}", "}\n")))

    def stop(self):
        self.place.node.output(["nft", "delete", "table", "netdev", "relay"])


def measure(bench):
    with bench.make_lab("rate") as lab:
        place = Place(lab)
        relays = [Ours(place, 1, streams=1, options=("--receive-buffer", BUFFER)),
                  Socat(place, streams=1, wrap=("taskset", "-c", RELAY_CPU)), Rule(place),
                  *(Ours(place, 1, streams=1, options=("--receive-buffer", RING_BUFFER), path=path)
                    for path in ("packet", "xdp"))]
        for relay in relays:
            check(place, relay)
        drop_at_target(place)
        for sender in SENDERS:
            if bench.is_wanted(sender):
                tell(bench, sender, measure_sender(bench, place, relays, sender))


def check(place, relay):
    """It does relay, single packets and bursts that stay together, each once and whole."""
    relay.start()
    for name, options in (("single", ()), ("gso", ("--burst", "8", "--gso"))):
        sink = place.sink(1, 400, name=f"sink-{name}-{relay.name}")
        place.generate(1, 400, 2000, *options, name=f"generator-{name}-{relay.name}").succeed()
        total = expect_exact(sink)
        expect_equal(total["received"], 400, f"packets by {relay.name}")
    relay.stop()


def drop_at_target(place):
    place.target.output(["nft", "-f", "-"], input="\n".join((
        "table netdev target {", "chain target {",
        f'type filter hook ingress device "{place.target_device}" priority 0;',
        f"ip daddr {OUT_GROUP} drop", "}", "}\n")))


def measure_sender(bench, place, relays, sender):
    """{relay: what find_highest() gave of each run}."""
    found = {relay.name: [] for relay in relays}
    for run in range(bench.runs(RUNS)):
        for relay in alternate(relays, run):
            relay.start()
            trial = Trial(bench, place, sender, relay.make_counters)
            found[relay.name].append(find_highest(
                trial, bench.size(STEP, QUICK_STEP)))
            relay.stop()
    return found


class Trial:
    """One sender through whatever relays now."""

    def __init__(self, bench, place, sender, make_counters):
        self.bench, self.place, self.sender = bench, place, sender
        self.seconds = bench.size(SECONDS, QUICK_SECONDS)
        self.counters = make_counters(place, streams=1)

    def run(self, pps):
        """(packets a second that entered, that left, whether none was lost)."""
        self.counters.reset()
        run_helper(self.place.source, ["taskset", "-c", SENDER_CPU, *self.bench.helper(
            "volley", self.sender, IN_GROUP, IN_PORT, self.place.source_device, int(pps), SIZE,
            self.seconds, SENDERS[self.sender])])
        entered, left = self.counters.settled()
        return entered / self.seconds, left / self.seconds, entered == left

    def holds(self, pps):
        """The rate that held, or None. The sender may have been slower than it was asked."""
        for _ in range(TRIES):
            entered, _, is_whole = self.run(pps)
            if is_whole:
                return entered
        return None


def find_highest(trial, step):
    """`pps` without a loss; `is_senders`: the sender could not do more; and what is left of all
    that the sender can do."""
    offered, passed, is_whole = trial.run(MOST_PPS)
    found = {"pps": 0, "is_senders": False, "offered": offered, "passed": passed,
             "lost": per_cent_lost(offered, passed)}
    if is_whole:
        return {**found, "pps": offered, "is_senders": True}
    low, high = LEAST_PPS, offered
    while high > low * step:
        middle = math.sqrt(low * high)
        held = trial.holds(middle)
        if held is None:
            high = middle
            continue
        low, found["pps"] = middle, max(found["pps"], held)
        found["is_senders"] = held < middle * NEAR
    return found


def tell(bench, sender, found):
    report = bench.report
    for name, runs in found.items():
        case = f"{sender}, {name}"
        asked = (">=", GSO_PPS) if sender == "gso" and name == OURS else None
        report.row(NAME, case, "highest rate without loss", column(runs, "pps"), "packets/s", asked)
        report.row(NAME, case, "relayed of all that can be sent", column(runs, "passed"),
                   "packets/s")
        if any(column(runs, "is_senders")):
            report.note(f"{case}: the sender could not do more, in "
                        f"{sum(column(runs, 'is_senders'))} of {len(runs)} runs")
        for other in (SOCAT, RULE):
            if "ours" in name:
                report.row(NAME, f"{sender}, {name} : {other}", "paired ratio", ratios(
                    column(runs, "pps"), column(found[other], "pps")), "×",
                    (">=", TIMES_SOCAT)
                    if name == OURS and other == SOCAT and sender != "gso" else None)
    report.table(f"{sender}, packets/s", ["relay", "without loss", "offered at most",
                                          "relayed of that", "lost of that"],
                 [cells(name, runs) for name, runs in found.items()])


def ratios(ours, theirs):
    """One that held nothing counts as the least rate tried."""
    return [a / max(b, LEAST_PPS) for a, b in zip(ours, theirs)]


def column(runs, key):
    return [run[key] for run in runs]


def cells(name, runs):
    best = max(runs, key=lambda run: run["pps"])
    return [name, ("≥ " if best["is_senders"] else "") + f"{best['pps']:.0f}",
            f"{best['offered']:.0f}", f"{best['passed']:.0f}", f"{best['lost']:.2f} %"]
