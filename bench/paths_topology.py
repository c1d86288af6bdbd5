"""The topology changes again and again under a stream at full speed: of three paths two are in use,
and each update puts the third in the place of one of them. In the original's order: both ends
prepare, then both update."""

import time

from lab import expect
from paths_place import DIRECTIONS, OURS, Path, Place, name_of
from peers import Job

NAME = "topology"
TOOLS = ()
UPDATES, QUICK_UPDATES = 100, 10
CASES = [[Path(100)] * 3, [Path(100, 20)] * 3]
PAUSE_S = 0.3  # so that the gaps of two updates can be told apart


def measure(bench):
    for paths in CASES:
        for direction in DIRECTIONS:
            case = f"{name_of(paths)}, {direction}"
            if bench.is_wanted(case):
                with bench.make_lab(f"topology-{case}") as lab:
                    measure_case(bench, Place(bench, lab, paths), case, direction)


def measure_case(bench, place, case, direction):
    place.start_chain()
    use(place, 0)
    stream = place.stream(OURS, direction)
    place.wait_carrying(direction, pair(0))
    before, updates = duplicates(place), []
    for turn in range(1, bench.size(UPDATES, QUICK_UPDATES) + 1):
        time.sleep(PAUSE_S)
        since = time.monotonic()
        use(place, turn)
        updates.append((since, time.monotonic()))
    twice = duplicates(place) - before
    record = stream.end()
    expect(record.end == "told", f"the stream ended by itself ({record.end})")
    rtt_ms = max(p.rtt_ms for p in place.paths)
    ends = [since for since, _ in updates[1:]] + [record.last]
    gaps = sorted(record.longest_gap_ms(since, end) for (since, _), end in zip(updates, ends))
    report = bench.report
    report.row(NAME, case, "gap, median", gaps, "ms")
    report.row(NAME, case, "gap, longest", gaps[-1:], "ms", ("<=", rtt_ms + 20))
    report.row(NAME, case, "update, from the first command to the last reply",
               [until - since for since, until in updates], "s")
    report.row(NAME, case, "bytes that came twice", [100 * twice / record.size], "%")
    report.row(NAME, case, "rate", [record.mean_mbit()], "Mbit/s")
    place.stop_chain()


def pair(turn):
    return [turn % 3, (turn + 1) % 3]


def use(place, turn):
    chain = place.chain
    for module, addresses in ((chain.ingress, chain.proxy_addresses),
                              (chain.egress, chain.egress_addresses)):
        module.must("update_topo_pre", addresses=[
            {"host": host, "port": port, "ratio": ratio}
            for host, port, ratio in (addresses[i] for i in pair(turn))])
    at_egress = Job(chain.egress.must, "update_topo")
    chain.ingress.must("update_topo")
    at_egress.result()


def duplicates(place):
    return sum(module.stats()["bytes"]["duplicate_total"]
               for module in (place.chain.ingress, place.chain.egress))
