"""One address of a proxy at a time, under traffic: set_weight, add_path, remove_path.

    client -- ingress -- proxy1 ==(two addresses)== proxy2 -- egress -- server
"""

import time

from chain import EGRESS, INGRESS, PROXY, Module
from lab import expect, expect_equal, wait_for
from peers import MB, Job, end_both, move_both_ways
from scenario import Scenario

HOST = "127.0.0.1"
ENTRY, TARGET = (HOST, 5001), (HOST, 8080)
BETWEEN = [(HOST, 7101, 1), (HOST, 7102, 1)]
PATIENCE_S = 4  # well below the time after which what is not drained is cut


class Pair:
    """The chain above in one namespace, with a session through it."""

    def __init__(self, lab):
        node = lab.node("all")
        listener = node.listen(*TARGET)
        self.modules = [
            Module(lab, node, program, listen, backend, name=name, comm=(HOST, 9000 + i))
            for i, (name, program, listen, backend) in enumerate((
                ("egress", EGRESS, [(HOST, 7201, 1)], [(*TARGET, 0)]),
                ("proxy2", PROXY, BETWEEN, [(HOST, 7201, 1)]),
                ("proxy1", PROXY, [(HOST, 7001, 1)], BETWEEN),
                ("ingress", INGRESS, [(*ENTRY, 0)], [(HOST, 7001, 1)])))]
        _, self.second, self.first, ingress = self.modules
        ingress.wait_ready()
        self.first.wait_ready()
        self.client = node.connect(*ENTRY)
        self.server = listener.accept()[0]
        self.server.settimeout(30)

    def traffic(self, seed):
        return Job(move_both_ways, self.client, self.server, 24 * MB, seed)

    def end(self):
        end_both(self.client, self.server)


def hops(proxy, side):
    return [p for p in proxy.must("paths")["paths"] if p["side"] == side]


def at(address):
    return {"host": address[0], "port": address[1]}


def remove(proxy, side, address):
    begin = time.monotonic()
    reply = proxy.must("remove_path", side=side, **at(address))
    expect_equal(reply["cut"], 0, f"{proxy.name}: subflows that were not drained")
    expect(time.monotonic() - begin < PATIENCE_S, f"{proxy.name}: remove_path took too long")


def losses(pair):
    """Nothing but drains: no path was lost, and no byte sent twice."""
    ends = [m.stats()["bytes"]["resent_total"] for m in (pair.modules[0], pair.modules[3])]
    return ends + [p["losses"] for p in hops(pair.first, "backend")]


def backend_removed_and_added(lab):
    """A drained backend costs nothing: nothing is lost and no byte is sent twice."""
    pair = Pair(lab)
    for turn in range(3):
        moving = pair.traffic(turn)
        remove(pair.first, "backend", BETWEEN[turn % 2])
        expect_equal(len(hops(pair.first, "backend")), 1, "backends of proxy1")
        reply = pair.first.must("add_path", side="backend", **at(BETWEEN[turn % 2]))
        expect_equal(reply["ratio"], 1, "ratio of the new, the mean of the known")
        pair.first.wait_ready()
        moving.result()
    expect_equal(losses(pair), [0] * 4, "bytes sent again at either end, losses of the backends")
    pair.end()


def listener_removed_and_added(lab):
    """The proxy behind drains what came in by it, also while its neighbour dials it in vain."""
    pair = Pair(lab)
    moving = pair.traffic(1)
    remove(pair.second, "listen", BETWEEN[0])
    expect_equal([p["listener"] for p in hops(pair.second, "listen")], ["127.0.0.1:7102"],
                 "hops of proxy2")
    pair.second.must("add_path", side="listen", **at(BETWEEN[0]), ratio=3)
    pair.first.wait_ready()
    moving.result()
    moving = pair.traffic(2)
    moving.result()
    shares = {p["listener"]: p["sent_bytes"] for p in hops(pair.second, "listen")}
    expect(shares["127.0.0.1:7101"] > 0, f"the listener that returned carries nothing: {shares}")
    pair.end()


def weights(lab):
    pair = Pair(lab)
    pair.traffic(1).result()
    pair.first.must("set_weight", **at(BETWEEN[0]), ratio=9)
    before = {p["peer"]: p["sent_bytes"] for p in hops(pair.first, "backend")}
    pair.traffic(2).result()
    sent = {p["peer"]: p["sent_bytes"] - before[p["peer"]] for p in hops(pair.first, "backend")}
    expect(sent["127.0.0.1:7101"] > 3 * sent["127.0.0.1:7102"], f"sent at 9 to 1: {sent}")
    done = pair.first.control("set_weight", *BETWEEN[1][:2], "18")
    expect_equal(done.returncode, 0, f"mpp_controller set_weight: {done.stderr}")
    expect_equal([p["ratio"] for p in hops(pair.first, "backend")], [9, 18], "ratios")
    pair.end()


def refused(lab):
    """One clear error each, and nothing has changed."""
    pair = Pair(lab)
    known, unknown = at(BETWEEN[0]), {"host": HOST, "port": 7999}
    cases = [
        ("set_weight", {**unknown, "ratio": 1}, "127.0.0.1:7999 is no address of this proxy"),
        ("set_weight", {**known, "ratio": 1, "side": "listen"}, "no listener 127.0.0.1:7101"),
        ("set_weight", known, "ratio: expected a whole number from 1 to 1000000"),
        ("set_weight", {**known, "ratio": 0}, "ratio: expected a whole number from 1 to 1000000"),
        ("set_weight", {**known, "ratio": 1000001}, "from 1 to 1000000"),
        ("set_weight", {"host": "", "port": 1, "ratio": 1}, "host: expected"),
        ("add_path", {**known, "side": "backend"}, "backend 127.0.0.1:7101 is there already"),
        ("add_path", unknown, 'side: expected "backend" or "listen"'),
        ("add_path", {**unknown, "side": 3}, 'side: expected "backend" or "listen"'),
        ("add_path", {**unknown, "side": "listen", "port": 65536}, "port: expected"),
        ("remove_path", unknown, "is no address of this proxy"),
        ("remove_path", {"host": HOST, "port": 7001}, "listener 127.0.0.1:7001 is the last one"),
    ]
    before = pair.first.must("paths")["paths"]
    for op, arguments, text in cases:
        reply = pair.first.ask(op, **arguments)
        expect_equal((reply["ok"], reply["code"]), (False, "bad_request"), f"{op} {arguments}")
        expect(text in reply["error"], f"{op} {arguments}: {reply['error']}")
    reply = pair.first.ask("add_path", side="listen", host=HOST, port=7201)
    expect("in use" in reply["error"], f"a listener on a port in use: {reply}")
    after = pair.first.must("paths")["paths"]
    expect_equal([(p["peer"], p["ratio"]) for p in after], [(p["peer"], p["ratio"])
                 for p in before], "paths")
    pair.end()


def added_backend_is_down(lab):
    """It is dialled until it is there, and removed at once when nobody has answered."""
    pair = Pair(lab)
    nobody = {"host": HOST, "port": 7999}
    pair.first.must("add_path", side="backend", **nobody, ratio=5)
    wait_for(lambda: any(p["state"] in ("down", "dialling") and p["ratio"] == 5
                         for p in hops(pair.first, "backend")), "the new backend is listed")
    pair.traffic(1).result()
    remove(pair.first, "backend", (HOST, 7999))
    pair.end()


SCENARIOS = [
    Scenario("backend", backend_removed_and_added),
    Scenario("listener", listener_removed_and_added),
    Scenario("weights", weights),
    Scenario("refused", refused),
    Scenario("backend_down", added_backend_is_down),
]
