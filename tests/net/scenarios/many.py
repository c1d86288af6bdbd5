"""Many sessions at once, readers that stop, a memory limit, too few descriptors, a server that
refuses.

                       +-- relay1 --+
    client -- ingress -+-- relay2 --+- egress -- server
                       +-- relay3 --+
"""

import pathlib
import socket
import sys

from chain import EGRESS, INGRESS, Chain, is_sanitized
from lab import expect, expect_equal, wait_for
from peers import (BLOCK, MB, Job, check_session, end_both, expect_refused, move_both_ways,
                   receive_exactly)
from scenario import Scenario

LOAD = pathlib.Path(__file__).resolve().parent.parent / "load.py"
LIMIT_BYTES = 64 << 20
LIMITED = ("--memory-limit", "64M")
SLACK_BYTES = 64 << 20  # code, stacks and the C library's own beside the limit
DESCRIPTORS = 48


def sessions_at_once(lab, options):
    count, size = (200, 256 * 1024) if is_sanitized(lab) and not lab.is_long else (1000, MB)
    chain = Chain(lab, options=options)
    host, port = chain.target
    chain.server.start("load-server", [sys.executable, "-B", LOAD, "serve", host, port])
    chain.server.wait_open(host, port)
    chain.ready()
    output = chain.client.output([sys.executable, "-B", LOAD, "drive", *chain.entry, count, size],
                                 limit_s=300)
    expect(f"{count} open\n{count} exact, 0 failed" in output, f"the load says {output!r}")
    for end in (chain.ingress, chain.egress):
        wait_for(lambda end=end: end.stats()["sessions"]["open"] == 0, f"{end.name}: all finished")
        sessions = end.stats()["sessions"]
        expect_equal((sessions["opened_total"], sessions["reset_total"]), (count, 0),
                     f"{end.name}: sessions opened and reset")


def fill(sock):
    """Writes until nothing goes in any more; returns how many bytes that was."""
    sock.settimeout(0)
    sent = 0
    try:
        while True:
            sent += sock.send(bytes(BLOCK))
    except BlockingIOError:
        return sent


def stalled_readers(lab, upwards):
    """Readers stop while their senders go on: memory stays under the limit, a neighbour's
    ping-pong and transfer go on, and what was held back is right when it is read at last."""
    count = 2000 if lab.is_long and not is_sanitized(lab) else 150
    chain = Chain(lab, options=LIMITED)
    for node in (chain.client, chain.server):  # the kernel's buffers are not the subject
        node.set("net/ipv4/tcp_rmem", "4096 65536 65536")
        node.set("net/ipv4/tcp_wmem", "4096 65536 65536")
    listener = chain.listen()
    chain.ready()
    pairs = [chain.session(listener) for _ in range(count)]
    filled = []
    for client, server in pairs:
        filled.append([client if upwards else server, server if upwards else client, 0])
    wait_for(lambda: not top_up(filled), "senders are held back", 60)
    client, server = chain.session(listener)
    for i in range(200):
        client.sendall(b"%06d" % i)
        server.sendall(receive_exactly(server, 6))
        expect_equal(receive_exactly(client, 6), b"%06d" % i, "ping-pong beside stalled readers")
    move_both_ways(client, server, 4 * MB, 1)
    end_both(client, server)
    for module in chain.modules():
        memory = module.stats()["memory"]
        expect_equal(memory["limit_bytes"], LIMIT_BYTES, f"{module.name}: limit")
        expect(memory["used_bytes_max"] <= LIMIT_BYTES, f"{module.name}: {memory}")
        resident = module.resident_bytes()
        expect(is_sanitized(lab) or resident <= LIMIT_BYTES + SLACK_BYTES,
               f"{module.name}: {resident} bytes resident")
    for sender, reader, sent in filled[:50]:
        sender.shutdown(socket.SHUT_WR)
        expect_equal(count_zeros(reader), sent, "bytes that were held back")


def top_up(filled):
    """Sends what goes in; true while something did."""
    moved = 0
    for one in filled:
        sent = fill(one[0])
        one[2] += sent
        moved += sent
    return moved


def count_zeros(reader):
    got = 0
    while block := reader.recv(BLOCK):
        expect(not block.strip(b"\0"), "bytes that nobody sent")
        got += len(block)
    return got


def dial_or_refused(chain):
    """Out of descriptors, the egress refuses a session; its reset may be there before connect()
    has returned here."""
    try:
        return chain.dial()
    except ConnectionResetError:
        return socket.socket()


def few_descriptors(lab, program):
    """Out of descriptors: it stops to accept and says so; when some are free it goes on with
    those that wait. Nothing that was accepted breaks."""
    wrap = ("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}")
    chain = Chain(lab, wraps={program: wrap}, ingress_options=("--client-wait", "60s"))
    listener = chain.listen()
    chain.ready()
    echo = Echo(listener)
    first, second = ([dial_or_refused(chain) for _ in range(DESCRIPTORS)] for _ in range(2))
    module = chain.ingress if program == INGRESS else chain.egress
    module.wait_log(r"too many open files|EMFILE|descriptors")
    expect(module.is_running(), f"{module.name} ended")
    if program == INGRESS:
        served = [c for c in first if is_served(c, 0.2)]
        expect(0 < len(served) < DESCRIPTORS, f"{len(served)} served of {DESCRIPTORS}")
        for client in first:
            client.close()
        expect(sum(is_served(c, 10) for c in second[:10]) == 10, "the waiting were not served")
    for client in first + second:
        client.close()
    wait_for(lambda: module.stats()["sessions"]["open"] == 0, "all sessions ended")
    client = chain.dial()
    expect(is_served(client, 10), "a new client was not served")
    echo.close()


class Echo:
    """Serves every connection until it ends, in threads."""

    def __init__(self, listener):
        self.listener = listener
        listener.settimeout(None)
        self.accepting = Job(self.accept)

    def accept(self):
        while True:
            Job(self.serve, self.listener.accept()[0])

    @staticmethod
    def serve(peer):
        with peer:
            while data := peer.recv(BLOCK):
                peer.sendall(data)

    def close(self):
        self.listener.close()


def is_served(client, limit_s):
    """One byte there and back."""
    client.settimeout(limit_s)
    try:
        client.sendall(b"?")
        return client.recv(1) == b"?"
    except OSError:
        return False


def server_refuses(lab):
    """Nothing listens at the server: a reset for the client, a reason for the operator."""
    chain = Chain(lab).ready()
    expect_refused(chain.dial, "client")
    chain.egress.wait_log("refused")
    wait_for(lambda: chain.ingress.stats()["sessions"]["reset_total"] == 1, "it is counted")
    check_session(chain, chain.listen())


def server_unreachable(lab):
    """No route to the server at all."""
    chain = Chain(lab).ready()
    chain.back.ip(f"route del 10.77.{chain.target[0].split('.')[2]}.0/24")
    expect_refused(chain.dial, "client")
    chain.egress.wait_log("unreachable")


def session_limit(lab):
    """--max-sessions: one more is refused with a reset, the others go on."""
    chain = Chain(lab, ingress_options=("--max-sessions", "10"))
    listener = chain.listen()
    chain.ready()
    pairs = [chain.session(listener) for _ in range(10)]
    expect_refused(chain.dial, "client 11")
    for i, pair in enumerate(pairs):
        move_both_ways(*pair, 100_000, i)
        end_both(*pair)
    wait_for(lambda: chain.ingress.stats()["sessions"]["open"] == 0, "all finished")
    check_session(chain, listener)


SCENARIOS = [
    Scenario("sessions", sessions_at_once, ((),), limit_s=150),
    Scenario("sessions_two_workers", sessions_at_once, (("--workers", "2"),), limit_s=150),
    Scenario("stalled_clients", stalled_readers, (False,), limit_s=120),
    Scenario("stalled_servers", stalled_readers, (True,), limit_s=120),
    Scenario("ingress_descriptors", few_descriptors, (INGRESS,), limit_s=90),
    Scenario("egress_descriptors", few_descriptors, (EGRESS,), limit_s=90),
    Scenario("server_refuses", server_refuses),
    Scenario("server_unreachable", server_unreachable),
    Scenario("session_limit", session_limit),
]
