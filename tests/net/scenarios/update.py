"""A new topology, in the original's order (ingress prepares, egress prepares, then both update)
and in each dialect; and what becomes of those that leave.

    before:            +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
    after:             +-- relay3 --+
"""

import ipaddress
import json
import re
import signal
import time

from chain import CONTROLLER, SUBFLOW_PORT, Chain
from lab import expect, expect_equal, wait_for
from peers import MB, Job, check_session, end_both, move_both_ways
from scenario import Scenario


def by_controller(module, op, addresses=()):
    words = [word for host, port, _ in addresses for word in (host, port)]
    done = module.control(op, *([len(addresses)] if addresses else []), *words)
    expect_equal(done.returncode, 0, f"{CONTROLLER} {op} to {module.name}: {done.stderr.strip()}")


def by_bytes(module, op, addresses=()):
    data = {"update_topo_pre": b"2", "update_topo": b"3"}[op]
    if addresses:
        data += b"%d" % len(addresses)
        for host, port, _ in addresses:
            data += ipaddress.IPv4Address(host).packed + port.to_bytes(2, "big")
    expect_equal(module.one_byte(data), b"6", f"reply to {data} from {module.name}")


def listed(addresses):
    return [{"host": host, "port": port, "ratio": ratio} for host, port, ratio in addresses]


def by_json(module, op, addresses=()):
    module.must(op, **({"addresses": listed(addresses)} if addresses else {}))


def three_relays_two_used(lab, **options):
    return two_used(lab, 3, **options)


def two_used(lab, paths, **options):
    """The proxies of the other relays run, but neither end knows of them; the egress has no
    listener for them."""
    chain = Chain(lab, paths, ratios=range(1, paths + 1), **options)
    listener = chain.listen()
    every_near, every_far = chain.proxy_addresses, chain.egress_addresses
    chain.proxy_addresses, chain.egress_addresses = every_near[:2], every_far[:2]
    chain.start_egress()
    chain.start_ingress()
    chain.proxy_addresses, chain.egress_addresses = every_near, every_far
    chain.start_proxies()
    for module in chain.modules():
        module.wait_live()
    chain.ingress.wait_ready()
    return chain, listener


def backends_of(module):
    return sorted(p["peer"] for p in module.must("paths")["paths"]
                  if p["side"] == "backend" and p["state"] == "up")


def update(lab, say):
    chain, listener = three_relays_two_used(lab)
    check_session(chain, listener, MB)
    near, far = chain.proxy_addresses[1:], chain.egress_addresses[1:]
    say(chain.ingress, "update_topo_pre", near)
    say(chain.egress, "update_topo_pre", far)
    at_egress = Job(say, chain.egress, "update_topo")
    say(chain.ingress, "update_topo")
    at_egress.result()
    wanted = sorted(f"{host}:{port}" for host, port, _ in near)
    wait_for(lambda: backends_of(chain.ingress) == wanted, f"backends {wanted} at the ingress")
    expect(not chain.back.is_open(*chain.egress_addresses[0][:2]), "the old listener is open")
    chain.proxies[0].kill()
    before = chain.front.counters(chain.near[2].a_device)[1]
    check_session(chain, listener, 8 * MB)
    sent = chain.front.counters(chain.near[2].a_device)[1] - before
    expect(sent > 100_000, f"only {sent} bytes over the new relay")


def update_fails(lab):
    """A backend that never comes up: update_topo says so, and what ran still runs."""
    chain, listener = three_relays_two_used(lab)
    before = backends_of(chain.ingress)
    nobody = chain.near[0].b_ip
    reply = chain.ingress.must("update_topo_pre", addresses=[
        {"host": nobody, "port": SUBFLOW_PORT + 1, "ratio": 1}])
    expect_equal(reply["ratios"], [1], "ratios in force")
    reply = chain.ingress.ask("update_topo")
    expect(reply["ok"] is False and f"{nobody}:{SUBFLOW_PORT + 1}" in reply["error"],
           f"the reply names the backend: {reply}")
    check_session(chain, listener, MB)
    chain.ingress.must("abort_topo")
    expect_equal(backends_of(chain.ingress), before, "backends of the ingress")
    reply = chain.ingress.ask("update_topo")
    expect_equal((reply["ok"], reply["code"]), (False, "not_prepared"), f"after abort: {reply}")


def fails_by_name(lab):
    """Many backends that refuse, at several workers: each is named, once."""
    chain = Chain(lab, ingress_options=["--workers", "3", "--topo-wait", "1s"])
    chain.ready()
    nobody = chain.near[0].b_ip
    ports = range(SUBFLOW_PORT + 1, SUBFLOW_PORT + 33)
    addresses = listed((nobody, port, 1) for port in ports)
    reply = chain.ingress.ask("update_topo_pre", addresses=addresses, wait=True)
    expect_equal((reply["ok"], reply["code"]), (False, "timeout"), f"with wait: {reply}")
    again = chain.ingress.ask("update_topo")
    for error in (reply["error"], again["error"]):
        named = re.findall(rf"(?:; |: )({nobody}:\d+): {nobody}:\d+: connection refused", error)
        expect_equal(sorted(named), [f"{nobody}:{port}" for port in ports], f"named in {error}")


def ends_meanwhile(lab):
    """The module ends while update_topo waits: the answer says so."""
    chain = Chain(lab, paths=1)
    chain.ready()
    chain.ingress.must("update_topo_pre", addresses=listed([(chain.near[0].b_ip, 1, 1)]))
    with chain.front.connect(*chain.ingress.comm) as peer, peer.makefile("r") as replies:
        peer.sendall(b'{"op": "update_topo"}\n')
        wait_for(lambda: "under way" in chain.ingress.ask("update_topo_pre")["error"],
                 "the change has begun")
        chain.ingress.may_end = True
        chain.ingress.signal(signal.SIGTERM)
        reply = json.loads(replies.readline())
    chain.ingress.succeed()
    expect_equal((reply["ok"], reply["code"]), (False, "busy"), f"reply: {reply}")
    expect("ending" in reply["error"], f"why: {reply}")


def ratios_kept(lab):
    """Known addresses keep their ratio, new ones get the mean of the known."""
    chain, _ = three_relays_two_used(lab)
    without = [{"host": host, "port": port} for host, port, _ in chain.proxy_addresses]
    reply = chain.ingress.must("update_topo_pre", addresses=without)
    expect_equal(reply["ratios"][:2], [1, 2], "ratios of the known")
    expect(1 <= reply["ratios"][2] <= 2, f"ratio of the new, the mean of 1 and 2: {reply}")


def states(module, key="peer"):
    return {p[key]: p["state"] for p in module.must("paths")["paths"]}


def others_prepared(lab, **options):
    """Two paths in use, with a session, and two others prepared at both ends."""
    chain, listener = two_used(lab, 4, **options)
    client, server = chain.session(listener)
    chain.ingress.must("update_topo_pre", addresses=listed(chain.proxy_addresses[2:]))
    chain.egress.must("update_topo_pre", addresses=listed(chain.egress_addresses[2:]))
    for module, key, addresses in sides(chain):
        names = [f"{host}:{port}" for host, port, _ in addresses]
        wanted = dict(zip(names, ["up", "up", "prepared", "prepared"]))
        wait_for(lambda: states(module, key) == wanted, f"{module.name}: two of four are prepared")
    return chain, client, server


def sides(chain):
    return ((chain.ingress, "peer", chain.proxy_addresses),
            (chain.egress, "listener", chain.egress_addresses))


def wait_gone_over(chain):
    """The egress uses a path when the first frame of the ingress has come on it."""
    for module, key, addresses in sides(chain):
        wanted = {f"{host}:{port}": "up" for host, port, _ in addresses[2:]}
        wait_for(lambda: states(module, key) == wanted, f"{module.name} has gone over")


def all_replaced(lab):
    """No address stays. The egress begins: until the ingress uses the new paths the old ones carry
    the stream."""
    chain, client, server = others_prepared(lab)
    at_egress = Job(chain.egress.must, "update_topo")
    wait_for(lambda: not chain.back.is_open(*chain.egress_addresses[0][:2]), "the change has begun")
    move_both_ways(client, server, 4 * MB, 1)
    moving = Job(move_both_ways, client, server, 32 * MB, 2)
    chain.ingress.must("update_topo")
    reply = at_egress.result()
    expect_equal((reply["tunnels_left_behind"], reply["cut"]), ([], 0), "left behind, and cut")
    wait_gone_over(chain)
    moving.result()
    end_both(client, server)


def dead_one_replaced(lab, side):
    """Of the old paths one carries nothing any more, and cannot be drained: nobody waits for it."""
    chain, client, server = others_prepared(lab, options=["--topo-wait", "100s"])
    moving = Job(move_both_ways, client, server, 32 * MB, 1)
    link = getattr(chain, side)[0]
    node, device = (link.a, link.a_device) if side == "near" else (link.b, link.b_device)
    node.ip(f"link set {device} down")
    wait_for(lambda: "stalled" in states(chain.ingress).values(), "the path is stalled")
    chain.ingress.must("update_topo")
    chain.egress.must("update_topo")
    wait_gone_over(chain)
    moving.result()
    end_both(client, server)


def egress_alone(lab):
    """The ingress does not carry out its part of the change: the old paths stay, and the egress
    says whose. They go when the ingress does so at last."""
    chain, client, server = others_prepared(lab, egress_options=["--topo-wait", "1s"])
    tunnel, = {p["tunnel"] for p in chain.egress.must("paths")["paths"]}
    moving = Job(move_both_ways, client, server, 32 * MB, 1)
    reply = chain.egress.must("update_topo")
    expect_equal(reply["tunnels_left_behind"], [tunnel], "tunnels left behind")
    moving.result()
    move_both_ways(client, server, 4 * MB, 3)
    chain.ingress.must("update_topo")
    wait_gone_over(chain)
    move_both_ways(client, server, 4 * MB, 5)
    end_both(client, server)


def left_for_good(lab):
    """Two backends leave, and cannot be drained. One of them dies and begins anew meanwhile: it is
    not taken back, and the other one is given up in time. `paths` shows them all the while."""
    chain, listener = three_relays_two_used(lab, ingress_options=["--topo-wait", "3s"])
    names = [f"{host}:{port}" for host, port, _ in chain.proxy_addresses]
    client, server = chain.session(listener)
    chain.egress.must("add_path", **listed(chain.egress_addresses)[2])
    chain.ingress.must("update_topo_pre", addresses=listed(chain.proxy_addresses[2:]))
    wait_for(lambda: states(chain.ingress) == dict(zip(names, ["up", "up", "prepared"])),
             "the third backend is prepared")
    # Else what is under way on them would show that they stall.
    move_both_ways(client, server, MB, 0)
    wait_for(lambda: not any(p["inflight_bytes"] for module in (chain.ingress, chain.egress)
                             for p in module.must("paths")["paths"]), "all is acknowledged")
    for proxy in chain.proxies[:2]:
        proxy.freeze()
    at_ingress = Job(chain.ingress.must, "update_topo")
    wait_for(lambda: states(chain.ingress) == dict(zip(names, ["draining", "draining", "up"])),
             "two backends leave")
    chain.proxies[1].kill()
    wait_for(lambda: states(chain.ingress) == {names[0]: "draining", names[2]: "up"},
             "the dead one is gone, the other is not")
    chain.proxies[1] = chain.proxies[1].again()
    chain.proxies[1].wait_live()
    move_both_ways(client, server, 4 * MB, 1)
    expect_equal(at_ingress.result()["cut"], 1, "how many were not drained")
    expect_equal(states(chain.ingress), {names[2]: "up"}, "what is left")
    expect_equal(chain.proxies[1].stats()["connections"]["accepted_total"], 0,
                 "subflows to a backend that has left")
    chain.proxies[0].thaw()
    end_both(client, server)


def drained_before(lab):
    """The egress drains a path, and takes it again. Should the ingress give it up later, and cannot
    drain it, it waits."""
    chain = Chain(lab, paths=2, ingress_options=["--topo-wait", "1s"])
    chain.listen()
    chain.ready()
    near, far = listed(chain.proxy_addresses)[0], listed(chain.egress_addresses)[0]
    chain.egress.must("remove_path", host=far["host"], port=far["port"])
    wait_for(lambda: not chain.ingress.is_whole(), "the path is gone at the ingress, too")
    chain.egress.must("add_path", **far)
    wait_for(lambda: set(states(chain.ingress).values()) == {"up"}, "a probe has come back, too")
    chain.proxies[0].freeze()
    begin = time.monotonic()
    reply = chain.ingress.must("remove_path", host=near["host"], port=near["port"])
    expect(time.monotonic() - begin > 0.9, "it did not wait")
    expect_equal(reply["cut"], 1, "how many were not drained")
    chain.proxies[0].thaw()


def order_of_backup(lab):
    """The scheduler `backup` prefers the first of equals in the operator's list: of the new one."""
    chain = Chain(lab)
    listener = chain.listen()
    chain.ready()
    client, server = chain.session(listener)
    for module, key, addresses in sides(chain):
        module.must("set_scheduler", scheduler="backup")
        turned = listed(addresses[::-1])
        module.must("update_topo_pre", addresses=turned)
        module.must("update_topo")
        expect_chosen(module, key, turned[0], client, server)
        module.must("remove_path", host=turned[0]["host"], port=turned[0]["port"])
        module.must("add_path", **turned[0])
        wait_for(lambda: all(list(states(m, k).values()) == ["up"] * 3 for m, k, _ in sides(chain)),
                 "the removed one is back at both ends")
        expect_chosen(module, key, turned[1], client, server)
    end_both(client, server)


def expect_chosen(module, key, address, client, server):
    before = sent_by(module, key)
    move_both_ways(client, server, MB, 1)
    sent = {name: sent - before[name] for name, sent in sent_by(module, key).items()}
    expect_equal([name for name, bytes_ in sent.items() if bytes_ > MB / 2],
                 [f"{address['host']}:{address['port']}"], f"{module.name} sent by path: {sent}")


def sent_by(module, key):
    return {p[key]: p.get("sent_bytes", 0) for p in module.must("paths")["paths"]}


SCENARIOS = [
    Scenario("order_of_backup", order_of_backup),
    Scenario("all_replaced", all_replaced),
    Scenario("dead_near_replaced", dead_one_replaced, ("near",)),
    Scenario("dead_far_replaced", dead_one_replaced, ("far",)),
    Scenario("egress_alone", egress_alone),
    Scenario("left_for_good", left_for_good),
    Scenario("drained_before", drained_before),
    Scenario("controller", update, (by_controller,)),
    Scenario("bytes", update, (by_bytes,)),
    Scenario("json", update, (by_json,)),
    Scenario("fails", update_fails),
    Scenario("fails_by_name", fails_by_name),
    Scenario("ends_meanwhile", ends_meanwhile),
    Scenario("ratios", ratios_kept),
]
