"""Subflows at the egress that are not used: prepared ones beside those in use, and one that never
proves itself. In the drawing a second proxy runs on relay 1, and leads to the same listener.

                       +-- relay1 (N, N) --+
    client -- ingress -+                   +- egress -- server
                       +-- relay2 ---------+
"""

import struct
import time

from chain import COMM, PROXY, SUBFLOW_PORT, Chain, Module
from lab import expect, expect_equal, wait_for
from peers import MB, end_both, move
from scenario import Scenario
from update import listed


def second_proxy(lab, chain, path, backends):
    """Beside the one on that relay. Returns it, and its address."""
    address = (chain.near[path].b_ip, SUBFLOW_PORT + 1, 1)
    relay = chain.relays[path]
    module = Module(lab, relay, PROXY, [address], backends, name=f"second@{relay.name}",
                    comm=(COMM[0], COMM[1] + 1))
    module.wait_live()
    return module, address


def legs(chain, address):
    """States of the subflows that came in by this listener of the egress."""
    name = f"{address[0]}:{address[1]}"
    return sorted(p["state"] for p in chain.egress.must("paths")["paths"] if p["listener"] == name)


def ratio_shared(lab):
    """Two subflows on one listener of the egress share its ratio when both are used, and not while
    one is prepared, or again when one has left."""
    chain = Chain(lab, paths=2)
    listener = chain.listen()
    chain.ready()
    client, server = chain.session(listener)
    chain.egress.must("set_scheduler", scheduler="weighted")
    _, address = second_proxy(lab, chain, 0, chain.egress_addresses[:1])
    chain.ingress.must("update_topo_pre", addresses=listed([*chain.proxy_addresses, address]))
    wait_for(lambda: legs(chain, chain.egress_addresses[0]) == ["prepared", "up"],
             "one is prepared")
    expect_halves(chain, client, server)
    chain.ingress.must("update_topo")
    wait_for(lambda: legs(chain, chain.egress_addresses[0]) == ["up", "up"], "both are used")
    expect_halves(chain, client, server)
    chain.ingress.must("remove_path", host=address[0], port=address[1])
    wait_for(lambda: legs(chain, chain.egress_addresses[0]) == ["up"], "one has left")
    expect_halves(chain, client, server)
    end_both(client, server)


def expect_halves(chain, client, server):
    """Of what flows back, by listener."""
    move(server, client, 4 * MB, 1)
    before = sent_by_listener(chain)
    move(server, client, 32 * MB, 2)
    sent = [now - then for now, then in zip(sent_by_listener(chain), before)]
    expect(0.45 < sent[0] / sum(sent) < 0.55, f"bytes sent by listener: {sent}")


def sent_by_listener(chain):
    paths = chain.egress.must("paths")["paths"]
    return [sum(p.get("sent_bytes", 0) for p in paths if p["listener"] == f"{host}:{port}")
            for host, port, _ in chain.egress_addresses]


def word_of_a_relay(lab):
    """A relay drains one of two prepared ways to the egress. That is not the ingress's word: what
    else is prepared stays so."""
    chain = Chain(lab, paths=2)
    chain.listen()
    host, port, _ = chain.egress_addresses[0]
    spare = (host, port + 1, 1)
    chain.egress_addresses.append(spare)
    chain.ready()
    second, address = second_proxy(lab, chain, 0, [chain.egress_addresses[0], spare])
    later = (chain.near[1].b_ip, SUBFLOW_PORT + 1, 1)
    chain.ingress.must("update_topo_pre",
                       addresses=listed([*chain.proxy_addresses, address, later]))
    wait_for(lambda: legs(chain, spare) == ["prepared"], "a way is prepared")
    second.must("remove_path", host=spare[0], port=spare[1], side="backend")
    wait_for(lambda: legs(chain, spare) == [], "it is drained")
    second_proxy(lab, chain, 1, chain.egress_addresses[1:2])
    wait_for(lambda: len(legs(chain, chain.egress_addresses[1])) == 2, "another way is there")
    expect_equal(legs(chain, chain.egress_addresses[1]), ["prepared", "up"], "states")
    chain.ingress.must("update_topo")
    wait_for(lambda: legs(chain, chain.egress_addresses[1]) == ["up", "up"], "both are used")


def unproven(lab):
    """Somebody knows the tunnel's id and not the key. The change does not wait for him, and he does
    not come into use later."""
    key = lab.folder / "key"
    key.write_bytes(b"k" * 32)
    chain = Chain(lab, paths=2, options=["--key-file", key])
    chain.listen()
    chain.ready()
    host, port, _ = chain.egress_addresses[0]
    tunnel, = {p["tunnel"] for p in chain.egress.must("paths")["paths"]}
    payload = (b"MPP1" + bytes([1, 1, 16]) + bytes.fromhex(tunnel) + struct.pack("!II", 1, 65536)
               + bytes(range(16)))
    with chain.relays[0].connect(host, port) as peer:
        peer.sendall(struct.pack("!BBHIQQ", 0x81, 0, 0, len(payload), 0, 0) + payload)
        wait_for(lambda: legs(chain, (host, port)) == ["down", "up"], "he has said HELLO")
        begin = time.monotonic()
        reply = chain.egress.must("remove_path", host=host, port=port)
        expect(time.monotonic() - begin < 3, f"not before --topo-wait: {reply}")
        while peer.recv(1000):
            continue
    expect_equal((reply["cut"], reply["tunnels_left_behind"]), (0, []), "cut, and left behind")


SCENARIOS = [
    Scenario("ratio_shared", ratio_shared),
    Scenario("word_of_a_relay", word_of_a_relay),
    Scenario("unproven", unproven),
]
