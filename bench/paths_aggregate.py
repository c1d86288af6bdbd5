"""How much of the sum of its paths one stream gets, in each direction, beside kernel MPTCP and TCP
over the best path alone; as a part of what TCP's payload can have of the links. The time counts
from the connection on, the start of TCP included. Eight paths against four: per path."""

from common import alternate
from paths_place import (DIRECTIONS, HAS_MPTCP, MPTCP, OURS, Path, Place, capacity_mbit, name_of)

NAME = "aggregate"
TOOLS = ()
RUNS = 3
SECONDS, NEAR_SECONDS, QUICK_SECONDS = 60, 15, 10  # with delay, near RTT 0

CASES = [  # and the percentage that is asked
    ([Path(200), Path(100)], 99.7),
    ([Path(50), Path(100), Path(150)], 99.7),
    ([Path(500), Path(500)], 99.7),
    ([Path(100, 25)] * 2, 97),
    ([Path(50, 10), Path(100, 25), Path(150, 40)], 97),
    ([Path(200, 15), Path(50, 80)], 95),
    ([Path(50)] * 4, None),
    ([Path(50)] * 8, None),
]
BEST = "best path"


def measure(bench):
    per_path = {}
    for paths, asked in CASES:
        if not bench.is_wanted(name_of(paths)):
            continue
        with bench.make_lab(f"aggregate-{name_of(paths)}") as lab:
            place = Place(bench, lab, paths)
            place.start_chain()
            per_path[len(paths), paths[0]] = measure_case(bench, place, asked)
            place.stop_chain()
    tell_eight_and_four(bench.report, per_path)


def measure_case(bench, place, asked):
    """Returns the percentages of ours, of all directions."""
    usual = SECONDS if max(p.rtt_ms for p in place.paths) else NEAR_SECONDS
    seconds = bench.size(usual, QUICK_SECONDS)
    kinds = {OURS: OURS, **({MPTCP: MPTCP} if HAS_MPTCP else {}), BEST: place.best}
    measured = {}
    for run in range(bench.runs(RUNS)):
        for direction in DIRECTIONS:
            for name in alternate(kinds, run):
                record = place.stream(kinds[name], direction, seconds).finish()
                measured.setdefault((direction, name), []).append(
                    100 * record.mean_mbit() / capacity_mbit(place.paths))
    for (direction, name), percents in measured.items():
        bench.report.row(NAME, f"{name_of(place.paths)}, {direction}, {name}",
                         "of the links' payload capacity", percents, "%",
                         (">=", asked) if asked and name == OURS else None)
    return [p for (_, name), percents in measured.items() if name == OURS for p in percents]


def tell_eight_and_four(report, per_path):
    """In the order of their runs; they were not taken at the same time."""
    eight, four = (per_path.get((count, Path(50))) for count in (8, 4))
    if eight and four:
        report.row(NAME, "8 × 50 : 4 × 50", "ratio per path",
                   [a / b for a, b in zip(eight, four)], "×", (">=", 1))
