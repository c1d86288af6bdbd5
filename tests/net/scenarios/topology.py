"""Other shapes than the usual chain, other addresses, other orders of starting. Each scenario
draws its own; N is a proxy, several N side by side are separate modules.
"""

import itertools

from chain import (CLIENT_PORT, COMM, EGRESS, INGRESS, PROXY, SERVER_PORT, SUBFLOW_PORT, Chain,
                   Module)
from lab import expect, expect_equal, wait_for
from peers import MB, Job, check_session, end_both, expect_reset, move_both_ways
from scenario import Scenario


def whole_session(node, entry, listener, size, seed):
    client = node.connect(*entry)
    server = listener.accept()[0]
    server.settimeout(30)
    move_both_ways(client, server, size, seed)
    end_both(client, server)


def expect_used(module, count, at_least=1):
    """`count` paths, every one of which carried something towards the backends."""
    paths = [p for p in module.must("paths")["paths"] if p["side"] == "backend"]
    expect_equal(len(paths), count, f"backend paths of {module.name}")
    sent = [p["sent_bytes"] for p in paths]
    expect(min(sent) >= at_least, f"{module.name}: bytes sent by path: {sent}")


def started_in_order(lab, order):
    """Modules find each other in whatever order they come; each lives before the next starts."""
    chain = Chain(lab)
    listener = chain.listen()
    for program in order:
        chain.start([program])
        for module in [m for m in chain.modules() if m]:
            module.wait_live()
    chain.ingress.wait_ready()
    check_session(chain, listener, MB)


def early_client(lab):
    """A client that comes before the chain is whole waits, and is served then."""
    chain = Chain(lab, ingress_options=("--client-wait", "20s"))
    listener = chain.listen()
    chain.start([INGRESS])
    chain.ingress.wait_live()
    client = chain.dial()
    client.sendall(b"early")
    wait_for(lambda: chain.ingress.stats()["sessions"]["waiting"] == 1, "one client waits")
    chain.start([EGRESS, PROXY])
    server = listener.accept()[0]
    server.settimeout(30)
    expect_equal(server.recv(100), b"early", "the bytes of the early client")
    end_both(client, server)
    for module in chain.modules():
        module.wait_live()  # one relay was enough; SIGTERM must not find the others at their start


def refused_client(lab, wait):
    """A client that has waited long enough is refused with a reset, not with a clean end."""
    chain = Chain(lab, ingress_options=("--client-wait", wait))
    chain.start([INGRESS])
    chain.ingress.wait_live()
    try:
        client = chain.dial()
        expect_reset(client, "client")
    except ConnectionError:
        pass  # refused before the connection was even whole
    wait_for(lambda: chain.ingress.stats()["sessions"]["refused_total"] >= 1, "it is counted")


def ipv6(lab):
    """The usual chain, all addresses IPv6."""
    chain = Chain(lab, ipv6=True)
    listener = chain.listen()
    check_session(chain.ready(), listener, 16 * MB)
    expect_used(chain.ingress, 3)


def names(lab):
    """
    one node: client -- ingress(localhost) -- N(localhost) -- egress(localhost) -- server
    """
    node = lab.node("one")
    listener = node.listen("127.0.0.1", SERVER_PORT)
    host = "localhost"
    Module(lab, node, EGRESS, [(host, 7003, 1)], [(host, SERVER_PORT, 0)], comm=(host, 9003))
    Module(lab, node, PROXY, [(host, 7002, 1)], [(host, 7003, 1)], comm=(host, 9002))
    ingress = Module(lab, node, INGRESS, [(host, CLIENT_PORT, 0)], [(host, 7002, 1)],
                     comm=(host, 9001))
    ingress.wait_ready()
    whole_session(node, (host, CLIENT_PORT), listener, 4 * MB, 1)


def no_proxy(lab):
    """
    client -- ingress ==(two subflows)== egress -- server
    """
    node_in, node_out = lab.node("ingress"), lab.node("egress")
    host = lab.link(node_in, node_out).b_ip
    addresses = [(host, SUBFLOW_PORT + i, 1) for i in range(2)]
    listener = node_out.listen("127.0.0.1", SERVER_PORT)
    Module(lab, node_out, EGRESS, addresses, [("127.0.0.1", SERVER_PORT, 0)])
    ingress = Module(lab, node_in, INGRESS, [("127.0.0.1", CLIENT_PORT, 0)], addresses)
    ingress.wait_ready()
    whole_session(node_in, ("127.0.0.1", CLIENT_PORT), listener, 16 * MB, 1)
    expect_used(ingress, 2)


class Rows:
    """Rows of relays between two ends, every node of a row linked to every one of the next:
    client+ingress == row 1 == row 2 == ... == egress+server"""

    def __init__(self, lab, *widths):
        self.lab = lab
        self.rows = [[lab.node(f"r{i}{chr(97 + j)}") for j in range(width)]
                     for i, width in enumerate((1, *widths, 1))]
        listening = {}
        for left, right in itertools.pairwise(self.rows):
            for a, b in itertools.product(left, right):
                address = (lab.link(a, b).b_ip, SUBFLOW_PORT, 1)
                listening.setdefault(b.name, []).append(address)
                listening.setdefault(("to", a.name), []).append(address)
        self.addresses = listening
        self.front, self.back = self.rows[0][0], self.rows[-1][0]
        self.target, self.entry = ("127.0.0.1", SERVER_PORT), ("127.0.0.1", CLIENT_PORT)
        self.listener = self.back.listen(*self.target)
        Module(lab, self.back, EGRESS, listening[self.back.name], [(*self.target, 0)])
        self.proxies = [self.start_proxy(node) for row in self.rows[1:-1] for node in row]
        self.ingress = Module(lab, self.front, INGRESS, [(*self.entry, 0)],
                              listening[("to", self.front.name)])
        self.ingress.wait_ready()
        for proxy in self.proxies:
            proxy.wait_ready()

    def start_proxy(self, node):
        return Module(self.lab, node, PROXY, self.addresses[node.name],
                      self.addresses[("to", node.name)])


def rows(lab, widths):
    """Every proxy of a row passes on to every one of the next, and all of them are used."""
    place = Rows(lab, *widths)
    whole_session(place.front, place.entry, place.listener, 32 * MB, 1)
    expect_used(place.ingress, widths[0])
    for proxy, fan_out in zip(place.proxies, fan_outs(widths), strict=True):
        expect_used(proxy, fan_out)


def fan_outs(widths):
    return [after for width, after in itertools.pairwise((*widths, 1)) for _ in range(width)]


def rows_with_loss(lab):
    """
    ingress == N1 == (N2, N3) == egress: behind one next hop there are two ways; one dies, the
    stream goes on over the other. A proxy of the last row is killed, started again, killed ...
    """
    place = Rows(lab, 1, 2)
    client = place.front.connect(*place.entry)
    server = place.listener.accept()[0]
    server.settimeout(30)
    for turn in range(4):
        victim = 1 + turn % 2
        moving = Job(move_both_ways, client, server, 8 * MB, turn)
        place.proxies[victim].kill()
        moving.result()
        place.proxies[victim] = place.proxies[victim].again()
        place.proxies[0].wait_ready()
    end_both(client, server)


def shared(lab, through_proxy):
    """
    client1 -- ingress1 --+
                          +-- (N) -- egress -- server       two tunnels, one egress
    client2 -- ingress2 --+
    """
    hub, fronts = lab.node("hub"), [lab.node("front1"), lab.node("front2")]
    links = [lab.link(front, hub) for front in fronts]
    addresses = [(link.b_ip, SUBFLOW_PORT, 1) for link in links]
    listener = hub.listen("127.0.0.1", SERVER_PORT)
    inner = [("127.0.0.1", 7100, 1)]
    egress = Module(lab, hub, EGRESS, inner if through_proxy else addresses,
                    [("127.0.0.1", SERVER_PORT, 0)])
    if through_proxy:
        Module(lab, hub, PROXY, addresses, inner, comm=(COMM[0], COMM[1] + 1))
    entry = ("127.0.0.1", CLIENT_PORT)
    ingresses = [Module(lab, front, INGRESS, [(*entry, 0)], [address])
                 for front, address in zip(fronts, addresses)]
    for ingress in ingresses:
        ingress.wait_ready()
    pairs = []
    for front in fronts:
        client = front.connect(*entry)
        server = listener.accept()[0]
        server.settimeout(30)
        pairs.append((client, server))
    jobs = [Job(move_both_ways, *pair, 8 * MB, 10 * i) for i, pair in enumerate(pairs)]
    for job in jobs:
        job.result()
    expect_equal(egress.stats()["tunnels"], 2, "tunnels at the egress")
    ingresses[0].kill()
    expect_reset(pairs[0][0], "client of the killed ingress")
    move_both_ways(*pairs[1], 4 * MB, 50)
    end_both(*pairs[1])


SCENARIOS = [
    *(Scenario("order_" + "_".join(word.split("_")[-1] for word in order), started_in_order,
               (order,)) for order in itertools.permutations((INGRESS, PROXY, EGRESS))),
    Scenario("early_client", early_client),
    Scenario("refused_at_once", refused_client, ("0s",)),
    Scenario("refused_after_wait", refused_client, ("1s",)),
    Scenario("ipv6", ipv6),
    Scenario("names", names),
    Scenario("no_proxy", no_proxy),
    Scenario("two_in_a_row", rows, ((1, 1),)),
    Scenario("five_in_a_row", rows, ((1, 1, 1, 1, 1),)),
    Scenario("mesh_2x2", rows, ((2, 2),)),
    Scenario("mesh_2x3x2", rows, ((2, 3, 2),)),
    Scenario("loss_behind_one_hop", rows_with_loss),
    Scenario("two_ingresses", shared, (False,)),
    Scenario("two_tunnels_one_proxy", shared, (True,)),
]
