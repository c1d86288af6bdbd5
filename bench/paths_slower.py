"""A bad path beside a good one must not make it slower: a stream, and requests of 100 KB one after
the other, over both paths and in the same minutes over the good one alone; by each scheduler that
promises it."""

import statistics

from common import alternate
from paths_place import DOWNLOAD, HAS_MPTCP, MPTCP, OURS, Path, Place, name_of

NAME = "never_slower"
TOOLS = ()
GOOD = Path(100, 10)
BAD = [Path(10, 300), Path(100, 10, 1), Path(100, 10, 10)]
SCHEDULERS = ("adaptive", "ecf", "blest", "minrtt", "backup")
RUNS = 3
SECONDS, QUICK_SECONDS = 60, 8
REQUESTS, QUICK_REQUESTS = 500, 50  # of each run
BOTH, ALONE = "both", "good one alone"
NUMBERS = {BOTH: [0, 1], ALONE: [0]}
PLAIN = "TCP over the good one"


def measure(bench):
    for bad in BAD:
        paths = [GOOD, bad]
        with bench.make_lab(f"slower-{name_of(paths)}") as lab:
            place = Place(bench, lab, paths)
            tell_peers(bench, place)
            for scheduler in SCHEDULERS:
                case = f"{name_of(paths)}, {scheduler}"
                if bench.is_wanted(case):
                    measure_scheduler(bench, place, case, scheduler)


def seconds_of(bench):
    return bench.size(SECONDS, QUICK_SECONDS)


def tell_peers(bench, place):
    for name, kind in ((PLAIN, 0), *([(MPTCP, MPTCP)] if HAS_MPTCP else [])):
        case = f"{name_of(place.paths)}, {name}"
        if bench.is_wanted(case):
            rates = [place.stream(kind, DOWNLOAD, seconds_of(bench)).finish().mean_mbit()
                     for _ in range(bench.runs(RUNS))]
            bench.report.row(NAME, case, "rate", rates, "Mbit/s")


def measure_scheduler(bench, place, case, scheduler):
    rates, requests = {BOTH: [], ALONE: []}, {BOTH: [], ALONE: []}
    for run in range(bench.runs(RUNS)):
        for which in alternate(NUMBERS, run):
            place.start_chain(NUMBERS[which], scheduler)
            rates[which].append(place.stream(OURS, DOWNLOAD,
                                             seconds_of(bench)).finish().mean_mbit())
            requests[which].append(sorted(place.requests_ms(bench.size(REQUESTS,
                                                                       QUICK_REQUESTS))))
            place.stop_chain()
    tell(bench.report, case, rates, requests)


def tell(report, case, rates, requests):
    for which in NUMBERS:
        report.row(NAME, f"{case}, {which}", "rate", rates[which], "Mbit/s")
    report.row(NAME, case, "rate, both : alone",
               [a / b for a, b in zip(rates[BOTH], rates[ALONE])], "×", (">=", 0.98))
    for figure, pick, bound in (("p50", statistics.median, 1.02), ("p99", p99, 1.1)):
        taken = {which: [pick(run) for run in requests[which]] for which in NUMBERS}
        report.row(NAME, f"{case}, {ALONE}", f"100 KB, {figure}", taken[ALONE], "ms")
        report.row(NAME, case, f"100 KB, {figure}, both : alone",
                   [a / b for a, b in zip(taken[BOTH], taken[ALONE])], "×", ("<=", bound))


def p99(ordered):
    return ordered[-1 - len(ordered) // 100]
