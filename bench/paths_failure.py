"""A path is lost in the middle of a stream at full speed over 200+100 Mbit/s, at RTT near 0 and at
40 ms: how long nothing arrives in order, when the rest of the paths are full, when a path that has
returned carries its share again. And how much longer 300 MB take when a path is lost for good.

Every fault hits the other of the two paths. In ours one stream sees all faults of a case; kernel
MPTCP, which never dials again, begins a new connection for each."""

import random
import time

from common import alternate
from lab import expect
from paths_place import (DIRECTIONS, DOWNLOAD, HAS_MPTCP, MPTCP, OURS, Path, Place, capacity_mbit,
                         name_of)

NAME = "failure"
TOOLS = ("ss",)
RATES_MBIT = (200, 100)
RTTS_MS = (0, 40)
FAULTS, QUICK_FAULTS = 200, 4  # in each direction
MPTCP_FAULTS = 10  # what it is compared by
FAULT_S = 1.5
WARM_UP_S = 2
RETURN_LIMIT_S = 6
FULL_PART = 0.93  # of what the remaining paths can carry
SIZE, LOST_AFTER_S = 300_000_000, 3
SEED = 3


class Fault:
    """`begin` and `heal` get the place, what is measured (OURS or MPTCP) and a path's number;
    `rtts` and `ms` are what a gap may have: (median, p99), None where no end of it is asked."""

    def __init__(self, begin, heal, kinds, rtts, slack_ms):
        self.begin, self.heal, self.kinds = begin, heal or nothing, kinds
        self.has_heal = heal is not None
        self.rtts, self.slack_ms = rtts, slack_ms


def reset_subflow(place, kind, victim):
    """Both ends of the TCP connection over that link are told."""
    chain = place.chain
    peer = chain.far[victim].b_ip if kind == MPTCP else chain.near[victim].b_ip
    said = chain.front.output(["ss", "-K", "-tn", "state", "established", "dst", peer])
    expect(peer in said, f"ss -K closed no connection to {peer}: {said.strip()}")


def kill_proxy(place, _kind, victim):
    place.chain.proxies[victim].kill()


def restart_proxy(place, _kind, victim):
    place.chain.proxies[victim] = place.chain.proxies[victim].again()


def nothing(_place, _kind, _victim):
    pass


FAULTS_BY_NAME = {
    "subflow reset": Fault(reset_subflow, None, (OURS, MPTCP), (None, 1), (None, 20)),
    "black hole": Fault(lambda p, _, i: p.links[i].blackhole(), lambda p, _, i: p.links[i].heal(),
                        (OURS, MPTCP), (2, 3), (50, 100)),
    "interface down": Fault(lambda p, _, i: p.links[i].down(), lambda p, _, i: p.links[i].up(),
                            (OURS, MPTCP), (2, 3), (50, 100)),
    "proxy killed": Fault(kill_proxy, restart_proxy, (OURS,), (2, 3), (50, 100)),
}


def measure(bench):
    for rtt_ms in RTTS_MS:
        paths = [Path(rate, rtt_ms) for rate in RATES_MBIT]
        with bench.make_lab(f"failure-{rtt_ms}") as lab:
            place = Place(bench, lab, paths)
            place.start_chain()
            for name, fault in FAULTS_BY_NAME.items():
                measure_fault(bench, place, name, fault)
            measure_completion(bench, place)
            place.stop_chain()


# ---- many faults ----
def measure_fault(bench, place, name, fault):
    count = bench.runs_wanted or bench.size(FAULTS, QUICK_FAULTS)
    for direction in DIRECTIONS:
        for kind in fault.kinds:
            case = f"{name_of(place.paths)}, {name}, {direction}, {kind}"
            if not bench.is_wanted(case):
                continue
            if kind == OURS:
                seen = one_stream(place, fault, direction, count)
            elif HAS_MPTCP:
                seen = many_streams(place, fault, direction, min(count, MPTCP_FAULTS))
            else:
                continue
            tell(bench.report, place, case, fault, seen, kind == OURS)


class Seen:
    """Of all faults of a case, as they happened."""

    def __init__(self):
        self.faults, self.quiet_ms, self.gaps_ms, self.full_s, self.returns_s = [], [], [], [], []

    def read(self, place, record, faults, has_heal):
        """`faults`: (path, begun, ended). One that needs no healing is over at once."""
        expect(record.end == "told", f"the stream ended by itself ({record.end}) "
                                     f"after {record.size} bytes")
        for victim, since, until in faults:
            rest = [p for i, p in enumerate(place.paths) if i != victim or not has_heal]
            self.gaps_ms.append(record.longest_gap_ms(since, until))
            self.full_s.append(record.seconds_to_rate(since, until,
                                                      FULL_PART * capacity_mbit(rest)))
            self.quiet_ms.append(record.longest_gap_ms(since - 0.3, since - 0.05))


def fault_s(place):
    return FAULT_S + 4 * max(p.rtt_ms for p in place.paths) / 1e3


def one_fault(place, kind, fault, victim):
    since = time.monotonic()
    fault.begin(place, kind, victim)
    time.sleep(max(since + fault_s(place) - time.monotonic(), 0))
    until = time.monotonic()
    fault.heal(place, kind, victim)
    return victim, since, until


def one_stream(place, fault, direction, count):
    seen, chance, everyone = Seen(), random.Random(SEED), range(len(place.paths))
    stream = place.stream(OURS, direction)
    expect(place.wait_carrying(direction, everyone) < 20, "not all paths were ever full")
    faults = []
    for turn in range(max(count, 1)):
        time.sleep(0.4 + chance.random() / 2)
        faults.append(one_fault(place, OURS, fault, turn % len(place.paths)))
        if fault.has_heal:
            seen.returns_s.append(place.wait_carrying(direction, everyone,
                                                      limit_s=RETURN_LIMIT_S))
    seen.read(place, stream.end(), faults, fault.has_heal)
    return seen


def many_streams(place, fault, direction, count):
    seen = Seen()
    for turn in range(max(count, 1)):
        stream = place.stream(MPTCP, direction)
        place.wait_carrying(direction, range(len(place.paths)), part=0.6, limit_s=WARM_UP_S)
        time.sleep(0.3)
        faults = [one_fault(place, MPTCP, fault, turn % len(place.paths))]
        if fault.has_heal:
            seen.returns_s.append(place.wait_carrying(direction, range(len(place.paths)),
                                                      limit_s=RETURN_LIMIT_S))
        seen.read(place, stream.end(), faults, fault.has_heal)
    return seen


def tell(report, place, case, fault, seen, is_ours):
    rtt_ms = max(p.rtt_ms for p in place.paths)
    bounds = [None if rtts is None or not is_ours else ("<=", rtts * rtt_ms + slack_ms)
              for rtts, slack_ms in zip(fault.rtts, fault.slack_ms)]
    ordered = sorted(seen.gaps_ms)
    report.row(NAME, case, "gap, median", seen.gaps_ms, "ms", bounds[0])
    report.row(NAME, case, "gap, p99", [ordered[-1 - len(ordered) // 100]], "ms", bounds[1])
    report.row(NAME, case, "gap, worst", [ordered[-1]], "ms",
               bounds[1] if fault.rtts[0] is None else None)
    report.row(NAME, case, "undisturbed gap, worst", [max(seen.quiet_ms)], "ms")
    what = "rest of the paths full after" if fault.has_heal else "both paths full again after"
    report.row(NAME, case, what, seen.full_s, "s", ("<=", 1) if is_ours else None)
    report.row(NAME, case, f"{what}, worst", [max(seen.full_s)], "s")
    if seen.returns_s:
        report.row(NAME, case, "share carried again after", seen.returns_s, "s",
                   ("<=", 3) if is_ours else None)
        report.row(NAME, case, "share carried again after, worst", [max(seen.returns_s)], "s")


# ---- one fault for good ----
def measure_completion(bench, place):
    ratios = {}
    for name in ("black hole", "proxy killed"):
        fault = FAULTS_BY_NAME[name]
        for run in range(bench.runs(3)):
            for victim in range(len(place.paths)):
                for kind in alternate(fault.kinds, run):
                    case = completion_case(place, name, victim, kind)
                    if bench.is_wanted(case) and (kind == OURS or HAS_MPTCP):
                        ratios.setdefault((name, victim, kind), []).append(
                            completion(place, kind, fault, victim))
    for (name, victim, kind), samples in ratios.items():
        bench.report.row(NAME, completion_case(place, name, victim, kind),
                         f"time of {SIZE // 1_000_000} MB over the ideal", samples,
                         "×", ("<=", 1.02) if kind == OURS else None)


def completion_case(place, name, victim, kind):
    return (f"{name_of(place.paths)}, {name}, path of {place.paths[victim].rate_mbit} lost for "
            f"good, {kind}")


def completion(place, kind, fault, victim):
    """Duration over the ideal one: all links' capacity until the loss, then that of the rest.
    The first RTT, in which nothing can arrive, is not held against anybody."""
    stream = place.stream(kind, DOWNLOAD, 120, SIZE)
    time.sleep(LOST_AFTER_S)
    lost = time.monotonic()
    fault.begin(place, kind, victim)
    record = stream.finish(130)
    fault.heal(place, kind, victim)
    expect(record.end == "bytes", f"the stream ended ({record.end}) after {record.size} bytes")
    whole = capacity_mbit(place.paths) / 8 * 1e6
    rest = whole - capacity_mbit([place.paths[victim]]) / 8 * 1e6
    begun = record.started + max(p.rtt_ms for p in place.paths) / 1e3
    until_loss = lost - begun
    ideal = until_loss + (SIZE - until_loss * whole) / rest
    if kind == OURS:
        place.chain.ingress.wait_ready()
    return (record.last - begun) / ideal
