"""All schedulers on the same four pairs of paths: the rate of a stream, requests of 100 KB, what
was sent twice; and where one path is a black hole for a second, how long nothing arrived. The table
of docs/schedulers.md is made of it."""

import statistics
import time

from paths_place import DOWNLOAD, HAS_MPTCP, MPTCP, OURS, Path, Place
from paths_slower import p99

NAME = "schedulers"
TOOLS = ()
SCHEDULERS = ("adaptive", "weighted", "ecf", "blest", "minrtt", "redundant", "backup")
PLACES = {
    "equal": [Path(100, 20), Path(100, 20)],
    "unequal": [Path(100, 10), Path(10, 300)],
    "lossy": [Path(100, 20), Path(100, 20, 1)],
    "black hole": [Path(100, 20), Path(100, 20)],
}
HOLE, HOLE_S = "black hole", 1
VICTIM = 0
RUNS = 3
SECONDS, QUICK_SECONDS = 20, 6
REQUESTS, QUICK_REQUESTS = 200, 40
ALONE = "first path alone"


def measure(bench):
    for name, paths in PLACES.items():
        with bench.make_lab(f"schedulers-{name.replace(' ', '-')}") as lab:
            place = Place(bench, lab, paths)
            cases = {scheduler: ([0, 1], scheduler) for scheduler in SCHEDULERS}
            cases[ALONE] = ([0], "adaptive")
            seen = {case: [] for case in cases if bench.is_wanted(f"{name}, {case}")}
            for _ in range(bench.runs(RUNS)):
                for case in seen:
                    if case != ALONE or name != HOLE:
                        seen[case].append(one_run(bench, place, name, *cases[case]))
            for case, runs in seen.items():
                tell(bench.report, f"{name}, {case}", runs)
            if HAS_MPTCP and bench.is_wanted(f"{name}, {MPTCP}"):
                rates = [one_stream(bench, place, name, MPTCP) for _ in range(bench.runs(RUNS))]
                tell(bench.report, f"{name}, {MPTCP}", rates)


def one_run(bench, place, name, numbers, scheduler):
    """{figure: (value, unit)}"""
    place.start_chain(numbers, scheduler)
    found = one_stream(bench, place, name, OURS)
    sent = place.chain.egress.stats()["bytes"]
    found["sent twice"] = (100 * sent["resent_total"] / sent["sent_total"], "%")
    if name != HOLE:
        taken = sorted(place.requests_ms(bench.size(REQUESTS, QUICK_REQUESTS)))
        found["100 KB, p50"] = (statistics.median(taken), "ms")
        found["100 KB, p99"] = (p99(taken), "ms")
    place.stop_chain()
    return found


def one_stream(bench, place, name, kind):
    seconds = bench.size(SECONDS, QUICK_SECONDS)
    stream = place.stream(kind, DOWNLOAD, seconds)
    if name != HOLE:
        return {"rate": (stream.finish().mean_mbit(), "Mbit/s")}
    time.sleep(seconds / 2 - HOLE_S / 2)
    since = time.monotonic()
    place.links[VICTIM].blackhole()
    time.sleep(HOLE_S)
    until = time.monotonic()
    place.links[VICTIM].heal()
    record = stream.finish()
    return {"rate": (record.mean_mbit(), "Mbit/s"),
            "longest gap": (record.longest_gap_ms(since, until), "ms")}


def tell(report, case, runs):
    for figure in runs[0] if runs else ():
        report.row(NAME, case, figure, [run[figure][0] for run in runs], runs[0][figure][1])
