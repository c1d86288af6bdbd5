"""`redundant`: a 64-byte ping-pong over two paths of 10 ms that black-hole in turn, never both at
once, against one undisturbed path alone. Other schedulers stand beside it."""

import threading

from common import run_helper
from paths_place import OURS, Path, Place, name_of

NAME = "redundant"
TOOLS = ()
PATHS = [Path(100, 10)] * 2
ROUNDS, QUICK_ROUNDS = 4000, 800
MESSAGE_BYTES = 64
HOLE_S, APART_S = 0.5, 2
RUNS = 3


def measure(bench):
    with bench.make_lab("redundant") as lab:
        place = Place(bench, lab, PATHS)
        measured = {}
        for _ in range(bench.runs(RUNS)):
            for case, numbers, scheduler, is_disturbed in (
                    ("one path, undisturbed", [0], "redundant", False),
                    ("redundant, undisturbed", [0, 1], "redundant", False),
                    ("redundant", [0, 1], "redundant", True),
                    ("adaptive", [0, 1], "adaptive", True)):
                measured.setdefault(case, []).append(
                    one_run(bench, place, numbers, scheduler, is_disturbed))
    tell(bench.report, measured)


def one_run(bench, place, numbers, scheduler, is_disturbed):
    place.start_chain(numbers, scheduler)
    place.serve(OURS, "pingpong")
    disturbing = Holes(place) if is_disturbed else None
    said = run_helper(place.chain.client, bench.helper(
        "pingpong", "drive", *place.chain.entry, bench.size(ROUNDS, QUICK_ROUNDS), MESSAGE_BYTES))
    if disturbing:
        disturbing.stop()
    place.stop_chain()
    return said


class Holes(threading.Thread):
    """The next one begins APART_S after the last has begun."""

    def __init__(self, place):
        super().__init__(daemon=True)
        self.place, self.is_over = place, threading.Event()
        self.start()

    def run(self):
        turn = 0
        while not self.is_over.wait(APART_S - HOLE_S):
            link = self.place.links[turn % len(self.place.links)]
            link.blackhole()
            self.is_over.wait(HOLE_S)
            link.heal()
            turn += 1

    def stop(self):
        self.is_over.set()
        self.join()


def tell(report, measured):
    base = [said["p99_us"] for said in measured["one path, undisturbed"]]
    for case, all_said in measured.items():
        for figure in ("p50_us", "p99_us", "max_us"):
            report.row(NAME, f"{name_of(PATHS)}, {case}",
                       f"round trip {figure.removesuffix('_us')}",
                       [said[figure] / 1e3 for said in all_said], "ms")
        if case != "one path, undisturbed":
            report.row(NAME, f"{name_of(PATHS)}, {case}", "p99 : undisturbed p99 of one path",
                       [said["p99_us"] / b for said, b in zip(all_said, base)], "×",
                       ("<=", 1.2) if case.startswith("redundant") else None)
