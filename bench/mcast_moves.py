"""The plan in bursts while its streams are moved: all of them to the other of two workers each
second, and each five seconds one worker is restarted in the planned way."""

import time

from lab import expect
from mcast_place import (BURST, PPS, STREAMS, Counters, Ours, Sinks, generate_each,
                         wait_all)
from multicasting import Place

NAME = "moves"
TOOLS = ("nft",)
RUNS = 3
SECONDS, QUICK_SECONDS = 20, 6
MOVE_EACH_S, RESTART_EACH_S = 1, 5
POLL_S = 0.02


def measure(bench):
    seconds = bench.size(SECONDS, QUICK_SECONDS)
    with bench.make_lab("moves") as lab:
        place = Place(lab, is_bridged=True)
        runs = [run_one(place, seconds) for _ in range(bench.runs(RUNS))]
    case = f"{STREAMS} × {PPS}, bursts of {BURST}, {seconds} s"
    row = bench.report.row
    row(NAME, case, "lost between the interfaces", column(runs, "lost"), "packets", ("<=", 0))
    row(NAME, case, "duplicated", column(runs, "duplicated"), "packets", ("<=", 0))
    row(NAME, case, "lost by the sinks", column(runs, "sink_lost"), "packets")
    row(NAME, case, "moves of a stream", column(runs, "moves"))
    row(NAME, case, "restarts of a worker", column(runs, "restarts"))
    if any(column(runs, "drops")):
        bench.report.note(f"{case}: the relay says it dropped {column(runs, 'drops')}")


def column(runs, key):
    return [run[key] for run in runs]


def run_one(place, seconds):
    ours, counters = Ours(place, 2), Counters(place)
    ours.start()
    counters.reset()
    count = PPS * seconds // BURST * BURST
    sinks = Sinks(place, count)
    generators = generate_each(place, count, burst=BURST)
    moves, restarts = disturb(ours.relay, generators)
    wait_all(generators, 60 + 3 * seconds)
    entered, left = counters.settled()
    expect(entered, "no packet entered the relay")
    total, drops = sinks.end(), ours.drops()
    ours.stop()
    return {"lost": max(0, entered - left),
            "duplicated": total["duplicated"], "moves": moves, "restarts": restarts,
            "drops": drops, "sink_lost": left - total["received"] - total["duplicated"]}


def disturb(relay, generators):
    """While all generators send; how many moves and restarts there were."""
    moves = restarts = rounds = 0
    begun = time.monotonic()
    while all(generator.is_running() for generator in generators):
        passed = time.monotonic() - begun
        if passed >= (restarts + 1) * RESTART_EACH_S:
            relay.must("restart-worker", worker=restarts % 2)
            restarts += 1
        if passed >= (rounds + 1) * MOVE_EACH_S:
            moves += move_all(relay)
            rounds += 1
        time.sleep(POLL_S)
    return moves, restarts


def move_all(relay):
    """Each stream to the worker that it is not at. One that is just being restarted takes none."""
    rules = relay.must("list", count=STREAMS)["rules"]
    expect(len(rules) == STREAMS, f"{len(rules)} rules")
    replies = relay.ask_all([{"op": "move", "name": rule["name"], "worker": 1 - rule["worker"]}
                             for rule in rules if rule.get("worker") in (0, 1)])
    return sum(reply["ok"] for reply in replies)
