"""The packets of one of two paths are swallowed for a while, in both directions or one, and nobody
is told. What a proxy says of it, and how soon the path is used again once it carries.

    ingress -- proxy ==(one link, two ports of the egress)== egress
                                  X

`no_way_on`: another proxy before this one, and both ports are swallowed.
"""

import time

from chain import CLIENT_PORT, EGRESS, INGRESS, PROXY, SERVER_PORT, SUBFLOW_PORT, Module
from lab import expect, expect_equal, wait_for
from peers import MB, end_both, move_both_ways
from scenario import Scenario

SEEN_S = 3  # an idle hop is found by its next PING, a second apart
RETURN_S = 3


class Fork:
    def __init__(self, lab, has_first=False):
        self.front, self.back = lab.node("front"), lab.node("back")
        host = lab.link(self.front, self.back).b_ip
        far = self.far = [(host, SUBFLOW_PORT + i, 1) for i in range(2)]
        near = [("127.0.0.1", SUBFLOW_PORT, 1)]
        self.entry, target = ("127.0.0.1", CLIENT_PORT), ("127.0.0.1", SERVER_PORT)
        self.listener = self.back.listen(*target)
        self.egress = Module(lab, self.back, EGRESS, far, [(*target, 0)])
        self.proxy = Module(lab, self.front, PROXY, near, far, comm=("127.0.0.1", 9001))
        if has_first:
            behind, near = near, [("127.0.0.1", SUBFLOW_PORT + 9, 1)]
            self.first = Module(lab, self.front, PROXY, near, behind, name="first",
                                comm=("127.0.0.1", 9002))
        self.ingress = Module(lab, self.front, INGRESS, [(*self.entry, 0)], near)
        self.ingress.wait_ready()
        self.proxy.wait_ready()

    def session(self):
        client = self.front.connect(*self.entry)
        server = self.listener.accept()[0]
        server.settimeout(30)
        return client, server

    def swallow(self, port, hook):
        """All packets to (input) or from (output) this port of the egress."""
        word = {"input": "dport", "output": "sport"}[hook]
        self.back.output(["nft", f"add table ip {hook}_hole; "
                          f"add chain ip {hook}_hole c {{ type filter hook {hook} priority 0; }}; "
                          f"add rule ip {hook}_hole c tcp {word} {port} drop"])

    def carry(self, hook):
        self.back.output(["nft", f"delete table ip {hook}_hole"])

    def hop(self, index):
        peer = "{}:{}".format(*self.far[index])
        return next(p for p in self.proxy.must("paths")["paths"] if p["peer"] == peer)


def link_returns(lab, hooks, lasts_s):
    """Long enough for fresh connections to be dialled in vain, or short enough for none."""
    fork = Fork(lab)
    move_both_ways(*(pair := fork.session()), MB, 1)
    end_both(*pair)
    for hook in hooks:
        fork.swallow(fork.far[1][1], hook)
    begin = time.monotonic()
    hop = wait_for(lambda: (p := fork.hop(1))["state"] == "stalled" and p, "hop 2 stalled", SEEN_S)
    expect_equal((hop["why"], fork.hop(0)["state"]), ("nothing that is sent arrives", "up"),
                 "why hop 2 is stalled, and the state of hop 1")
    expect(hop["stalls"] >= 1, f"hop 2: {hop}")
    wait_for(lambda: time.monotonic() > begin + lasts_s, "the time is over", lasts_s + 1)
    for hook in hooks:
        fork.carry(hook)
    wait_for(lambda: fork.hop(1)["state"] == "up", "hop 2 up again", RETURN_S)
    before = fork.hop(1)["sent_bytes"]
    move_both_ways(*(pair := fork.session()), 8 * MB, 2)
    end_both(*pair)
    expect(fork.hop(1)["sent_bytes"] > before, "hop 2 carries nothing again")
    expect(fork.hop(1)["stalls"] < 10, f"hop 2: {fork.hop(1)}")


def no_way_on(lab):
    """The proxy before the one that all of whose next hops stall shows that, too, and why."""
    fork = Fork(lab, has_first=True)
    client, server = fork.session()
    move_both_ways(client, server, MB, 1)

    def hop():
        return next(p for p in fork.first.must("paths")["paths"] if p["side"] == "backend")

    expect_equal((hop()["state"], hop()["why"]), ("up", ""), "the hop before")
    for _, port, _ in fork.far:
        fork.swallow(port, "input")
    # On a busy machine it may have found by itself, before, that nothing arrives.
    wait_for(lambda: (p := hop())["state"] == "stalled" and
             p["why"] == "the proxy there has no way on", "the hop is stalled, and says so", SEEN_S)
    fork.carry("input")
    wait_for(lambda: hop()["state"] == "up", "the hop is up again", RETURN_S)
    move_both_ways(client, server, MB, 2)
    end_both(client, server)


SCENARIOS = [
    Scenario("both_ways", link_returns, (("input", "output"), 1.5)),
    Scenario("both_ways_long", link_returns, (("input", "output"), 6)),
    Scenario("only_there", link_returns, (("input",), 4)),
    Scenario("only_back", link_returns, (("output",), 4)),
    Scenario("no_way_on", no_way_on),
]
