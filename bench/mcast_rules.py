"""How long it takes to add rules: fifty one by one, by as many runs of control_client and on one
connection; 10,000 in one batch, all with groups of their own that are really joined. Meanwhile
twenty of the plan's streams are relayed, of which no packet may be lost between the interfaces."""

import json
import socket
import time

from lab import expect, expect_equal
from mcast_place import (BURST, PPS, Counters, add_one_by_one, client, generate_each, per_cent_lost,
                         wait_all)
from multicasting import Place, Relay, plus

NAME = "rules"
TOOLS = ("nft",)
RUNS = 5
RUNNING = 20  # streams
FEW, MANY, QUICK_MANY = 50, 10_000, 2_000
FEW_S, MANY_S = 0.5, 1
SECONDS = 6  # of the streams: longer than all that is done
FIRST_FEW, FIRST_ALONE = 100, 200  # numbers of rules
REPLY_LIMIT_S = 60
CLIENT, CONNECTION = "control_client, 50 runs", "50 on one connection"


class Connection:
    """To a relay; what is sent was made before."""

    def __init__(self, relay):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(REPLY_LIMIT_S)
        self.socket.connect(relay.path)
        self.replies = self.socket.makefile("rb")

    def ask(self, request):
        self.socket.sendall(line_of(request))
        return self.reply()

    def reply(self):
        said = json.loads(self.replies.readline())
        expect(said["ok"], f"the relay says {said}")
        return said

    def ask_all(self, lines):
        """Piece by piece, so that neither side waits for the other to read."""
        for start in range(0, len(lines), FEW):
            piece = lines[start:start + FEW]
            self.socket.sendall(b"".join(piece))
            for _ in piece:
                self.reply()

    def close(self):
        self.replies.close()
        self.socket.close()


def line_of(request):
    return json.dumps(request).encode() + b"\n"


def measure(bench):
    count = bench.size(MANY, QUICK_MANY)
    found = {"few": {CLIENT: [], CONNECTION: []}, "batch": [], "lost": []}
    with bench.make_lab("rules") as lab:
        place = Place(lab)
        for _ in range(bench.runs(RUNS)):
            measure_run(place, count, found)
        if not client(lab):
            bench.report.note("rules: no control_client; its 50 runs are 50 connections of ours")
    row = bench.report.row
    for case, seconds in found["few"].items():
        row(NAME, case, "time", seconds, "s", ("<=", FEW_S))
    row(NAME, f"{count} in one batch", "time", found["batch"], "s", ("<=", MANY_S))
    row(NAME, f"{RUNNING} streams meanwhile", "lost between the interfaces", found["lost"], "%",
        ("<=", 0))


def measure_run(place, count, found):
    relay = Relay(place.lab, place.node, name=f"relay{len(place.lab.processes)}")
    relay.ask_all([{"op": "add", "rule": place.rule(number)} for number in range(RUNNING)])
    counters = Counters(place, RUNNING)
    counters.reset()
    generators = generate_each(place, PPS * SECONDS // BURST * BURST, burst=BURST, streams=RUNNING)
    found["few"][CLIENT].append(timed(add_one_by_one, place, relay, FEW, FIRST_FEW))
    found["few"][CONNECTION].append(timed(add_alone, place, relay))
    found["batch"].append(add_batch(place, relay, count))
    expect(all(g.is_running() for g in generators), "the streams ended before all was done")
    wait_all(generators, 60)
    entered, left = counters.settled()
    expect(entered, "no packet entered the relay")
    found["lost"].append(per_cent_lost(entered, left))
    relay.end()


def timed(do, *args):
    started = time.monotonic()
    do(*args)
    return time.monotonic() - started


def add_alone(place, relay):
    """The next one when the last one is there."""
    connection = Connection(relay)
    for number in range(FIRST_ALONE, FIRST_ALONE + FEW):
        connection.ask({"op": "add", "rule": place.rule(number)})
    connection.close()


def add_batch(place, relay, count):
    """Seconds from the batch's begin to the end of its commit, when all of them are live."""
    connection = Connection(relay)
    batch = connection.ask({"op": "batch"})["batch"]
    lines = [line_of({"op": "add", "batch": batch, "rule": rule_of(place, number)})
             for number in range(count)]
    started = time.monotonic()
    connection.ask_all(lines)
    expect_equal(connection.ask({"op": "commit", "batch": batch})["added"], count, "rules added")
    seconds = time.monotonic() - started
    last = connection.ask({"op": "list", "from": RUNNING + 2 * FEW + count - 1, "count": 1})
    expect(last["rules"][0]["state"] == "live", f"the last rule is {last['rules']}")
    connection.close()
    return seconds


def rule_of(place, number):
    return {"name": f"more{number}",
            "inputs": [{"interface": place.input, "group": plus("239.100.0.0", number),
                        "port": 10_000 + number}],
            "outputs": [{"address": plus("239.200.0.0", number), "port": 7000,
                         "interface": place.output}]}
