"""Changing a chain while streams run through it: scheduler, weights, single paths.

                       +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
                       +-- relay3 --+
"""

from chain import Chain
from lab import expect, expect_equal, wait_for
from peers import MB, Job, check_session, end_both, move, move_both_ways
from scenario import Scenario

SCHEDULERS = ["adaptive", "weighted", "ecf", "blest", "minrtt", "redundant", "backup"]


def running(lab):
    """A chain with one session."""
    chain = Chain(lab, ratios=[1, 1, 1])
    listener = chain.listen()
    chain.ready()
    return chain, listener, *chain.session(listener)


def sent_by_path(module):
    return {p["peer"]: p["sent_bytes"] for p in module.must("paths")["paths"] if "sent_bytes" in p}


def schedulers(lab):
    """Each in turn at both ends, in the middle of a stream."""
    chain, listener, client, server = running(lab)
    for seed, name in enumerate(SCHEDULERS):
        moving = Job(move_both_ways, client, server, 8 * MB, seed)
        for module in (chain.ingress, chain.egress):
            expect_equal(module.must("set_scheduler", scheduler=name)["scheduler"], name, "reply")
            expect_equal(module.stats()["scheduler"], name, f"scheduler of {module.name}")
        moving.result()
    end_both(client, server)
    reply = chain.ingress.ask("set_scheduler", scheduler="fastest")
    expect(not reply["ok"] and all(name in reply["error"] for name in SCHEDULERS),
           f"an error that lists what there is: {reply}")
    reply = chain.proxies[0].ask("set_scheduler", scheduler="weighted")
    expect_equal((reply["ok"], reply["code"]), (False, "unsupported"), f"at a proxy: {reply}")
    check_session(chain, listener)


def redundant_goes_everywhere(lab):
    """Every path carries all of it, and the server gets it once."""
    chain, _, client, server = running(lab)
    chain.ingress.must("set_scheduler", scheduler="redundant")
    before = sent_on_links(chain)
    move(client, server, 2 * MB, 1)
    for i, (now, then) in enumerate(zip(sent_on_links(chain), before)):
        expect(now - then >= 1 * MB, f"link {i + 1} carried only {now - then} bytes")
    end_both(client, server)


def sent_on_links(chain):
    return [chain.front.counters(link.a_device)[1] for link in chain.near]


def weights(lab):
    """Shares follow set_weight in the middle of a stream."""
    chain, _, client, server = running(lab)
    chain.ingress.must("set_scheduler", scheduler="weighted")
    move(client, server, 4 * MB, 1)
    host, port, _ = chain.proxy_addresses[2]
    expect_equal(chain.ingress.must("set_weight", host=host, port=port, ratio=6)["ratios"],
                 [1, 1, 6], "ratios in force")
    before = sent_by_path(chain.ingress)
    move(client, server, 64 * MB, 2)
    after = sent_by_path(chain.ingress)
    moved = {peer: after[peer] - before[peer] for peer in after}
    share = moved[f"{host}:{port}"] / sum(moved.values())
    expect(0.70 < share < 0.80, f"share of the path of weight 6 of 8: {share:.3f}")
    end_both(client, server)
    for ratio in (0, -1, 1_000_001, "many"):
        reply = chain.ingress.ask("set_weight", host=host, port=port, ratio=ratio)
        expect(not reply["ok"] and "1 to 1000000" in reply["error"], f"ratio {ratio}: {reply}")
    reply = chain.ingress.ask("set_weight", host=host, port=1, ratio=2)
    expect(not reply["ok"] and f"{host}:1" in reply["error"], f"an unknown address: {reply}")


def one_by_one(lab, side):
    """A path leaves and comes back under a running stream, and the last one stays."""
    chain, listener, client, server = running(lab)
    module, addresses = ((chain.ingress, chain.proxy_addresses) if side == "ingress"
                         else (chain.egress, chain.egress_addresses))
    host, port, _ = addresses[0]
    moving = Job(move_both_ways, client, server, 48 * MB, 1)
    expect_equal(module.must("remove_path", host=host, port=port)["cut"], 0, "paths not drained")
    expect(not uses(module, host, port), "the path is gone when the reply comes")
    module.must("add_path", host=host, port=port, ratio=2)
    wait_for(lambda: uses(module, host, port), "the path is back")
    moving.result()
    end_both(client, server)
    reply = module.ask("add_path", host=host, port=port)
    expect(not reply["ok"] and "already" in reply["error"], f"twice: {reply}")
    for host, port, _ in addresses[1:]:
        module.must("remove_path", host=host, port=port)
    host, port, _ = addresses[0]
    reply = module.ask("remove_path", host=host, port=port)
    expect(not reply["ok"] and "last" in reply["error"], f"the last one: {reply}")
    check_session(chain, listener, MB)


def only_one_up(lab):
    """A path that leaves while no other is up goes on until another is."""
    chain = Chain(lab, paths=2, options=["--topo-wait", "20s"])
    listener = chain.listen()
    chain.ready()
    client, server = chain.session(listener)
    left, other = chain.proxy_addresses
    chain.proxies[1].kill()
    wait_for(lambda: not uses(chain.ingress, *other[:2]), "the other is down")
    leaving = Job(lambda: chain.ingress.must("remove_path", host=left[0], port=left[1]))
    move_both_ways(client, server, 16 * MB, 1)
    expect(leaving.is_alive(), "the reply has come, and no other is up")
    chain.proxies[1] = chain.proxies[1].again()
    expect_equal(leaving.result()["cut"], 0, "paths not drained")
    expect(not uses(chain.ingress, *left[:2]), "the path is gone when the reply comes")
    move_both_ways(client, server, 4 * MB, 2)
    end_both(client, server)


def cut(lab, side):
    """A path that cannot be drained is closed after --topo-wait, and the line says so."""
    chain = Chain(lab, options=["--topo-wait", "1s"])
    listener = chain.listen()
    chain.ready()
    module, addresses = ((chain.ingress, chain.proxy_addresses) if side == "ingress"
                         else (chain.egress, chain.egress_addresses))
    chain.proxies[0].freeze()
    done = module.control("remove_path", *addresses[0][:2])
    expect(done.returncode == 0 and "1 could not be drained in time" in done.stdout,
           f"the controller says {done.stdout.strip()!r}")
    chain.proxies[0].thaw()
    check_session(chain, listener, MB)


def uses(module, host, port):
    key = "peer" if module.name.startswith("mpp_adv_ingress") else "listener"
    return any(p.get(key) == f"{host}:{port}" and p["state"] == "up"
               for p in module.must("paths")["paths"])


SCENARIOS = [
    Scenario("schedulers", schedulers),
    Scenario("redundant", redundant_goes_everywhere),
    Scenario("weights", weights),
    Scenario("ingress_paths", one_by_one, ("ingress",)),
    Scenario("egress_paths", one_by_one, ("egress",)),
    Scenario("only_one_up", only_one_up),
    Scenario("ingress_cuts", cut, ("ingress",)),
    Scenario("egress_cuts", cut, ("egress",)),
]
