"""What one byte of payload costs on the links, in both directions together, headers of TCP and
below aside: frames, acknowledgements, probes, and all that is sent twice by us or by TCP, as drop-tail
queues make every TCP do: that over the best path alone stands beside it, and kernel MPTCP. Read from
the links' counters over the middle of a stream."""

import time

from common import alternate
from paths_place import DIRECTIONS, HAS_MPTCP, MPTCP, OURS, Path, Place, name_of

NAME = "overhead"
TOOLS = ()
RUNS = 3
SECONDS, QUICK_SECONDS = 20, 6
WARM_UP_S = 2
BEST = "best path"
HEADER_BYTES = 14 + 20 + 32  # Ethernet, IPv4, TCP with timestamps; SACK is left in

CASES = [
    ([Path(200), Path(100)], 1.01),
    ([Path(50, 10), Path(100, 25), Path(150, 40)], 1.01),
    ([Path(100, 20), Path(100, 20, 1)], 1.03),
]


def measure(bench):
    for paths, asked in CASES:
        with bench.make_lab(f"overhead-{name_of(paths)}") as lab:
            place = Place(bench, lab, paths)
            place.start_chain()
            for direction in DIRECTIONS:
                case = f"{name_of(paths)}, {direction}"
                if bench.is_wanted(case):
                    measure_case(bench, place, case, direction, asked)
            place.stop_chain()


def measure_case(bench, place, case, direction, asked):
    kinds = {OURS: OURS, **({MPTCP: MPTCP} if HAS_MPTCP else {}), BEST: place.best}
    ratios = {}
    for run in range(bench.runs(RUNS)):
        for name in alternate(kinds, run):
            ratios.setdefault(name, []).append(one_run(bench, place, kinds[name], direction))
    for name, samples in ratios.items():
        bench.report.row(NAME, f"{case}, {name}", "bytes on the links : payload", samples, "×",
                         ("<=", asked) if name == OURS else None)


def one_run(bench, place, kind, direction):
    stream = place.stream(kind, direction)
    time.sleep(WARM_UP_S)
    since, before = time.monotonic(), tcp_bytes(place)
    time.sleep(bench.size(SECONDS, QUICK_SECONDS))
    until, after = time.monotonic(), tcp_bytes(place)
    record = stream.end()
    payload = record.rate_mbit(since, until) * 1e6 / 8 * (until - since)
    return (after - before) / payload


def tcp_bytes(place):
    """That entered the links."""
    counted = [direction for link in place.emulator.stats().values()
               for direction in (link["a>b"], link["b>a"])]
    return sum(c["in_bytes"] - c["in_packets"] * HEADER_BYTES for c in counted)
