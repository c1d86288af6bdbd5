"""A module dies (kill -9) under traffic. Ends: client and server both see a reset, never a clean
end. Proxies: the stream goes on, byte-exact, and the path comes back with the proxy.

                       +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
        X (ends)       +-- relay3 --+    X (ends)
                             X (loss)
"""

from hashlib import sha256

from chain import Chain
from lab import expect, expect_equal, wait_for
from peers import (BLOCK, MB, Job, check_session, end_both, expect_reset, move, move_both_ways,
                   random_blocks, receive_hash, send_for_ever, send_random)
from scenario import Scenario

SHORT_WAIT = ("--session-wait", "1s")


def plain(lab, **more):
    chain = Chain(lab, **more)
    listener = chain.listen()
    return chain.ready(), listener


def end_killed(lab, who, sender):
    """`sender` ("client", "server", "both" or "nobody") sends without end when `who` dies."""
    chain, listener = plain(lab, options=SHORT_WAIT)
    client, server = chain.session(listener)
    move_both_ways(client, server, 1 * MB, 1)
    client_sending = server_sending = None
    if sender in ("client", "both"):
        client_sending = Job(send_for_ever, client)
        receive_hash(server, 4 * MB)
    if sender in ("server", "both"):
        server_sending = Job(send_for_ever, server)
        receive_hash(client, 4 * MB)
    getattr(chain, who).kill()
    at_client = Job(expect_reset, client, "client", client_sending)
    expect_reset(server, "server", server_sending)
    at_client.result()


def end_returns(lab, who):
    """A killed end that is started again serves new sessions."""
    chain, listener = plain(lab, options=SHORT_WAIT)
    check_session(chain, listener)
    old = getattr(chain, who)
    old.kill()
    setattr(chain, who, old.again())
    chain.ready()
    check_session(chain, listener)


def egress_replaced(lab):
    """A session of the old egress is never replayed to the new one, which has not seen its
    beginning: it is reset although --session-wait would have let it wait."""
    chain, listener = plain(lab)
    client, server = chain.session(listener)
    move_both_ways(client, server, 1 * MB, 1)
    chain.egress.kill()
    expect_reset(server, "server")
    chain.egress = chain.egress.again()
    expect_reset(client, "client")
    chain.ingress.wait_ready()
    check_session(chain, listener)


def all_proxies_killed(lab):
    """No path for longer than --session-wait: both ends are reset, and later all is well."""
    chain, listener = plain(lab, options=SHORT_WAIT)
    client, server = chain.session(listener)
    move_both_ways(client, server, 1 * MB, 1)
    for proxy in chain.proxies:
        proxy.kill()
    at_client = Job(expect_reset, client, "client")
    expect_reset(server, "server")
    at_client.result()
    chain.proxies = [proxy.again() for proxy in chain.proxies]
    chain.ready()
    check_session(chain, listener)


class Watched:
    """A stream under way whose receiver counts, so that things can happen in its middle."""

    def __init__(self, source, sink, size, seed):
        self.got, self.size, self.sink = 0, size, sink
        self.sending = Job(send_random, source, size, seed)
        self.receiving = Job(self.receive)

    def receive(self):
        hashes = []
        while self.got < self.size:
            piece = min(BLOCK, self.size - self.got)
            hashes.append(receive_hash(self.sink, piece))
            self.got += piece
        return hashes

    def wait(self, part):
        wait_for(lambda: self.got >= self.size * part or self.receiving.error,
                 f"{part:.0%} of the stream", 60)

    def finish(self, seed):
        """Compares block by block, so a failure tells where."""
        self.sending.result()
        wanted = block_hashes(self.size, seed)
        for at, (got, want) in enumerate(zip(self.receiving.result(), wanted, strict=True)):
            expect_equal(got, want, f"SHA-256 of the block at byte {at * BLOCK}")


def block_hashes(size, seed):
    return [sha256(block).hexdigest() for block in random_blocks(size, seed)]


def proxy_lost(lab, upwards, victims):
    """The victims die one after the other, each is started again before the next one dies; the
    links are shaped so that the stream is still under way."""
    rate = 200 if lab.is_long else 100
    chain, listener = plain(lab, rates_mbit=[rate] * 3)
    client, server = chain.session(listener)
    source, sink = (client, server) if upwards else (server, client)
    size = (400 if lab.is_long else 80) * MB
    stream = Watched(source, sink, size, 5)
    for step, victim in enumerate(victims):
        part = (step + 0.5) / (len(victims) + 1)
        stream.wait(part)
        chain.proxies[victim].kill()
        stream.wait(part + 0.25 / (len(victims) + 1))
        chain.proxies[victim] = chain.proxies[victim].again()
        chain.ingress.wait_ready()
    stream.finish(5)
    end_both(client, server)
    losses = chain.ingress.must("paths")["paths"]
    expect(sum(p["losses"] for p in losses) >= len(victims), f"losses the ingress tells: {losses}")


def two_lost_at_once(lab, upwards):
    """One path carries on alone."""
    chain, listener = plain(lab, rates_mbit=[100, 100, 100])
    client, server = chain.session(listener)
    source, sink = (client, server) if upwards else (server, client)
    stream = Watched(source, sink, 40 * MB, 6)
    stream.wait(0.3)
    chain.proxies[0].kill()
    chain.proxies[2].kill()
    stream.finish(6)
    end_both(client, server)


def all_lost_and_back(lab):
    """With --session-wait the sessions outlive a moment without any path."""
    chain, listener = plain(lab, rates_mbit=[100, 100, 100])
    client, server = chain.session(listener)
    stream = Watched(client, server, 40 * MB, 7)
    stream.wait(0.3)
    for proxy in chain.proxies:
        proxy.kill()
    wait_for(lambda: not chain.ingress.health()["ready"], "the ingress knows that no path is left")
    chain.proxies = [proxy.again() for proxy in chain.proxies]
    stream.finish(7)
    end_both(client, server)


def control_lost(lab):
    """Many short sessions while a proxy dies and returns: each OPEN, FIN and RESET that was on
    it takes another way."""
    chain, listener = plain(lab)
    for turn in range(20 if lab.is_long else 6):
        victim = turn % 3
        pairs = [chain.session(listener) for _ in range(8)]
        moving = [Job(move, server, client, 300_000, turn) for client, server in pairs]
        chain.proxies[victim].kill()
        for job in moving:
            job.result()
        for client, server in pairs:
            end_both(client, server)
        chain.proxies[victim] = chain.proxies[victim].again()
        chain.ingress.wait_ready()


SCENARIOS = [
    *(Scenario(f"{who}_while_{sender}_sends", end_killed, (who, sender))
      for who in ("ingress", "egress") for sender in ("client", "server", "both", "nobody")),
    Scenario("ingress_returns", end_returns, ("ingress",)),
    Scenario("egress_returns", end_returns, ("egress",)),
    Scenario("egress_replaced", egress_replaced),
    Scenario("all_proxies", all_proxies_killed),
    Scenario("proxy_up", proxy_lost, (True, [0])),
    Scenario("proxy_down", proxy_lost, (False, [0])),
    Scenario("each_proxy_up", proxy_lost, (True, [0, 1, 2]), limit_s=120),
    Scenario("each_proxy_down", proxy_lost, (False, [2, 0, 1]), limit_s=120),
    Scenario("two_at_once_up", two_lost_at_once, (True,)),
    Scenario("two_at_once_down", two_lost_at_once, (False,)),
    Scenario("all_and_back", all_lost_and_back),
    Scenario("control_frames", control_lost, limit_s=90),
]
