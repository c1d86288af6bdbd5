"""Input that no peer of ours sends, to every port that listens, while a transfer runs: each such
connection is closed within a time limit, and nothing else takes notice.

                       +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
       (attackers sit in the same nodes)
"""

import random
import struct

from chain import COMM, INGRESS, SUBFLOW_PORT, Chain, Module
from lab import Failure, expect, expect_equal
from peers import MB, Job, check_session, end_both, move_both_ways, receive_exactly
from scenario import Scenario

TUNNELS_MAX, PATHS_MAX = 1024, 64  # limits.h
CLOSED_WITHIN_S = 15  # above HELLO_WAIT_MS and CONTROL_WAIT_MS of limits.h
SEED = 20240607
TLS_HELLO = bytes.fromhex("16030100c4010000c00303") + bytes(range(185))
DATA, PING, OPEN, ACK, HELLO = 0x85, 0x88, 0x84, 0x86, 0x81


def frame(kind, length, session=0, offset=0, flags=0, reserved=0, payload=b""):
    return struct.pack("!BBHIQQ", kind, flags, reserved, length, session, offset) + payload


def noise(size):
    return random.Random(SEED + size).randbytes(size)


# What a listener for subflows gets instead of a HELLO.
STRANGE = {
    "tls hello": TLS_HELLO,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": bytes(4096),
    "noise 1": noise(1),
    "noise 23": noise(23),
    "noise 24": noise(24),
    "noise 100000": noise(100_000),
    "data before hello": frame(DATA, 5, 1, 0, payload=b"hello"),
    "half a header": frame(HELLO, 40)[:11],
    "half a hello": frame(HELLO, 40, payload=bytes(7)),
    "hello of no length": frame(HELLO, 0),
    "hello of 4 GiB": frame(HELLO, 0xffffffff),
    "hello of zeros": frame(HELLO, 40, payload=bytes(40)),
    "silence": b"",
}

# What follows a good HELLO.
WRONG_FRAMES = {
    "unknown type": frame(0x7f, 0),
    "type 0xff": frame(0xff, 0),
    "data of 2 MiB": frame(DATA, 2 << 20, 1),
    "data of 4 GiB": frame(DATA, 0xffffffff, 1),
    "data of session 0": frame(DATA, 5, 0, payload=b"hello"),
    "unknown flag": frame(DATA, 5, 1, flags=0x80, payload=b"hello"),
    "reserved bits": frame(DATA, 5, 1, reserved=1, payload=b"hello"),
    "offset overflows": frame(DATA, 5, 1, offset=2**64 - 2, payload=b"hello"),
    "ping of 3 bytes": frame(PING, 3, payload=b"abc"),
    "ack of 5 bytes": frame(ACK, 5, 1, payload=bytes(5)),
    "open of nothing": frame(OPEN, 0, 1),
    "a second hello": frame(HELLO, 40, payload=bytes(40)),
    "noise": noise(50_000),
}

# What a comm port gets. (Replies do not matter here, only that it is over in time.)
STRANGE_COMM = {
    "noise 100000": noise(100_000),
    "tls hello": TLS_HELLO,
    "unknown byte": b"9",
    "half an object": b'{"op": "heal',
    "no object": b'{"op"}\n',
    "empty object": b"{}\n",
    "op of a wrong type": b'{"op": 7}\n',
    "unknown op": b'{"op": "dance"}\n',
    "deep nesting": b'{"op":' + b"[" * 30_000 + b"\n",
    "line without end": b'{"op": "' + b"x" * 200_000,
    "zero byte in a line": b'{"op": "st\0ats"}\n',
    "bad addresses": b'{"op": "update_topo_pre", "addresses": [{"host": "", "port": 0}]}\n',
    "addresses of a wrong type": b'{"op": "update_topo_pre", "addresses": 5}\n',
    "too many addresses": b"2:" + bytes(9),
    "half a topology": b"23" + bytes(5),
    "http without end": b"GET /status HTTP/1.1\r\nA: " + b"b" * 100_000,
    "http of another kind": b"GARBAGE / HTTP/9.9\r\n\r\n",
    "unknown page": b"GET /nothing HTTP/1.0\r\n\r\n",
    "silence": b"",
}


def is_closed_by_peer(node, address, data, who):
    """Sends, then reads until the other side closes; an answer is fine, silence for ever not.
    The sending side stays open, so it is the module that ends it."""
    with node.connect(*address, limit_s=CLOSED_WITHIN_S) as peer:
        try:
            peer.sendall(data)
            while peer.recv(65536):
                pass
        except TimeoutError as error:
            raise Failure(f"{who}: not closed within {CLOSED_WITHIN_S} s") from error
        except ConnectionError:
            pass


def answers_or_closes(node, address, data, who):
    """A comm socket may answer an error and stay open for the next line."""
    with node.connect(*address, limit_s=CLOSED_WITHIN_S) as peer:
        try:
            peer.sendall(data)
            peer.recv(65536)
        except TimeoutError as error:
            raise Failure(f"{who}: neither answer nor end in {CLOSED_WITHIN_S} s") from error
        except ConnectionError:
            pass


def captured_hello(lab, node):
    """The HELLO of a real ingress, got by being its backend: of a tunnel that does not exist."""
    port = SUBFLOW_PORT + 500
    listener = node.listen("127.0.0.1", port)
    module = Module(lab, node, INGRESS, [("127.0.0.1", 5999, 0)], [("127.0.0.1", port, 1)],
                    name="ingress-for-hello", comm=(COMM[0], COMM[1] + 9))
    peer = listener.accept()[0]
    peer.settimeout(20)
    header = receive_exactly(peer, 24)
    expect_equal(header[0], HELLO, "first byte that an ingress says")
    hello = header + receive_exactly(peer, struct.unpack("!I", header[4:8])[0])
    module.kill()
    return hello


def scan(node, address):
    """A port scanner: connects and goes away."""
    for _ in range(20):
        node.connect(*address).close()


def attack(lab, targets, inputs, one_attack, counts_rejections):
    """All inputs at once to all targets, beside a transfer that must not notice."""
    chain = Chain(lab, paths=2)
    listener = chain.listen()
    chain.ready()
    inputs = inputs(lab, chain) if callable(inputs) else inputs
    client, server = chain.session(listener)
    moving = Job(move_both_ways, client, server, (200 if lab.is_long else 30) * MB, 3)
    jobs = []
    for name in targets:
        module, address = target_of(chain, name)
        scan(module.node, address)
        jobs += [Job(one_attack, module.node, address, data, f"{name}: {what}")
                 for what, data in inputs.items()]
    for job in jobs:
        job.result()
    moving.result()
    end_both(client, server)
    for name in targets:
        module = target_of(chain, name)[0]
        rejected = module.stats()["connections"]["rejected_total"]
        expect(not counts_rejections or rejected >= len(inputs) - 1,
               f"{module.name} counted {rejected} rejected connections of {len(inputs)}")
    chain.ready()
    check_session(chain, listener)


def target_of(chain, name):
    """"proxy comm" or "egress subflow" -> module and address."""
    who, port = name.split()
    module = {"ingress": chain.ingress, "proxy": chain.proxies[0], "egress": chain.egress}[who]
    if port == "comm":
        return module, COMM
    addresses = chain.proxy_addresses if who == "proxy" else chain.egress_addresses
    return module, addresses[0][:2]


def after_hello(lab, chain):
    hello = captured_hello(lab, chain.front)
    return {what: hello + data for what, data in WRONG_FRAMES.items()}


def garbage_from_backend(lab):
    """What a module dials may be no module at all: it lives on, is not ready, and dials again."""
    chain = Chain(lab, paths=1)
    fake = chain.relays[0].listen(*chain.proxy_addresses[0][:2])
    chain.start_ingress()
    for data in (TLS_HELLO, noise(1000), b"HTTP/1.1 400 Bad Request\r\n\r\n",
                 frame(0x82, 0), frame(0x82, 0xffffffff), frame(DATA, 4, 1, payload=b"what")):
        peer = fake.accept()[0]
        peer.settimeout(CLOSED_WITHIN_S)
        try:
            peer.sendall(data)
            while peer.recv(65536):
                pass
        except ConnectionError:
            pass
        peer.close()
    expect(chain.ingress.must("health_check")["ready"] is False, "ready without a backend")
    fake.close()
    listener = chain.listen()
    chain.start_proxies()
    chain.start_egress()
    check_session(chain.ready(), listener)


def of_tunnel(hello, number):
    """The HELLO with another tunnel id, which follows the header, the magic and three bytes."""
    return hello[:31] + struct.pack("!QQ", SEED, number) + hello[47:]


def crowds_of_tunnels(lab):
    """More tunnels than an egress takes, and more subflows than a tunnel may have: those that are
    gone without a session make room, those that are too many are refused."""
    chain = Chain(lab, paths=1)
    listener = chain.listen()
    chain.ready()
    hello = captured_hello(lab, chain.front)
    chain.ingress.kill()
    node, address = chain.egress.node, chain.egress_addresses[0][:2]
    for number in range(TUNNELS_MAX + 10):
        with node.connect(*address) as peer:
            peer.sendall(of_tunnel(hello, number))
            receive_exactly(peer, 1)
    expect_equal(chain.egress.stats()["tunnels"], TUNNELS_MAX, "tunnels")
    chain.start_ingress()
    check_session(chain.ready(), listener)
    peers = [node.connect(*address) for _ in range(PATHS_MAX)]
    for peer in peers:
        peer.sendall(of_tunnel(hello, TUNNELS_MAX + 10))
        receive_exactly(peer, 1)
    is_closed_by_peer(node, address, of_tunnel(hello, TUNNELS_MAX + 10), "one subflow more")
    for peer in peers:
        peer.close()


SCENARIOS = [
    Scenario("subflow_ports", attack, (("proxy subflow", "egress subflow"), STRANGE,
                                       is_closed_by_peer, True), limit_s=90),
    Scenario("after_hello", attack, (("proxy subflow", "egress subflow"), after_hello,
                                     is_closed_by_peer, False), limit_s=90),
    Scenario("comm_ports", attack, (("ingress comm", "proxy comm", "egress comm"), STRANGE_COMM,
                                    answers_or_closes, False), limit_s=90),
    Scenario("backend_is_no_module", garbage_from_backend, limit_s=90),
    Scenario("crowds_of_tunnels", crowds_of_tunnels, limit_s=90),
]
