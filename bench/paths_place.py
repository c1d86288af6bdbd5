"""Where the paths are measured: emulated links between the ingress and its relays,

                        +==(link 1)== relay1 --+
    client --- ingress -+==(link 2)== relay2 --+- egress --- server
                        +==  ...             --+

Ours goes from client to server through a proxy on each relay. TCP over one path and kernel MPTCP
go from the ingress's node to the egress's, the relays then forward packets."""

import json
import os
import shutil
import struct
import subprocess
import time
from typing import NamedTuple

from chain import EGRESS, INGRESS, SERVER_PORT, Chain
from common import expect_exact, stop_all
from lab import CONGESTION_CONTROL
from links import Emulator
from peers import receive_exactly

CAPACITY = 1448 / 1514  # payload of a full TCP segment to its Ethernet frame
QUEUE_MIN_KIB = 64
WINDOW_S, LOOK_S = 0.3, 0.05  # of what links carry
REQUEST_BYTES = 100_000
LIMIT_S = 3600  # of a stream that is told when to end
DOWNLOAD, UPLOAD = "download", "upload"
DIRECTIONS = (DOWNLOAD, UPLOAD)
OURS, MPTCP = "ours", "kernel MPTCP"  # a number is TCP over that path alone
HAS_MPTCP = shutil.which("mptcpize") is not None and os.path.exists("/proc/sys/net/mptcp/enabled")
WITHOUT_MPTCP = "no kernel MPTCP beside it: mptcpize, or the kernel's part of it, is missing"


class Path(NamedTuple):
    rate_mbit: int
    rtt_ms: float = 0
    loss_percent: float = 0

    def settings(self):
        """Drop-tail queues of one bandwidth-delay product, and not below QUEUE_MIN_KIB."""
        bdp_kib = self.rate_mbit * 1e6 / 8 * self.rtt_ms / 1e3 / 1024
        return {"rate_mbit": self.rate_mbit, "delay_ms": self.rtt_ms / 2,
                "loss_percent": self.loss_percent, "limit_kb": max(bdp_kib, QUEUE_MIN_KIB)}


def name_of(paths):
    """As in 50@10+100@25 (Mbit/s, ms)."""
    return "+".join(f"{p.rate_mbit}@{p.rtt_ms:g}" + (f"/{p.loss_percent:g}%" if p.loss_percent
                                                     else "") for p in paths)


def capacity_mbit(paths):
    """Of payload."""
    return sum(p.rate_mbit for p in paths) * CAPACITY


# ---- past our modules ----
def route_through_relays(chain):
    """From the ingress's node to each far link through its own relay, and back."""
    for relay, near, far in zip(chain.relays, chain.near, chain.far):
        relay.set("net/ipv4/ip_forward", "1")
        for node, network, gateway, device in (
                (chain.front, far.a_ip, near.b_ip, near.a_device),
                (chain.back, near.a_ip, far.a_ip, far.b_device)):
            node.ip(f"route add {network.rpartition('.')[0]}.0/24 via {gateway} "
                    f"dev {device} congctl {CONGESTION_CONTROL}")


def announce_addresses(chain, first):
    """For MPTCP: who has connected over far link `first` joins a subflow over each other."""
    others = max(len(chain.far) - 1, 1)
    for node in (chain.front, chain.back):
        node.output(["ip", "mptcp", "limits", "set", "subflows", others,
                     "add_addr_accepted", others])
    for i, far in enumerate(chain.far):
        if i != first:
            chain.back.output(["ip", "mptcp", "endpoint", "add", far.b_ip, "dev", far.b_device,
                               "signal"])


class Place:
    def __init__(self, bench, lab, paths, options=()):
        self.bench, self.lab, self.paths = bench, lab, paths
        self.best = max(range(len(paths)), key=lambda i: paths[i].rate_mbit)
        self.emulator = Emulator(lab)
        plain = lab.link

        def join(a, b, rate):
            return plain(a, b) if b.name == "egress" else self.emulator.link(a, b)

        self.chain = Chain(lab, paths=len(paths), ratios=[p.rate_mbit for p in paths], join=join,
                           rates_mbit=[None] * len(paths), options=options)
        self.links, self.options = self.chain.near, options
        self.every = (self.chain.relays, self.chain.proxy_addresses, self.chain.egress_addresses)
        for link, path in zip(self.links, paths):
            link.set(**path.settings())
        route_through_relays(self.chain)
        if HAS_MPTCP:
            announce_addresses(self.chain, self.best)
        elif WITHOUT_MPTCP not in bench.report.notes:
            bench.report.note(WITHOUT_MPTCP)
        self.serving = {}

    def start_chain(self, numbers=None, scheduler=None):
        """Over the paths of these numbers; all, when they are not given."""
        chain, numbers = self.chain, numbers or range(len(self.paths))
        chain.relays, chain.proxy_addresses, chain.egress_addresses = (
            [every[i] for i in numbers] for every in self.every)
        for program in (INGRESS, EGRESS):
            chain.options[program] = [*self.options, *(["--scheduler", scheduler] if scheduler
                                                       else [])]
        chain.start().ready()

    def stop_chain(self):
        stop_all(self.chain.modules())
        self.chain.ingress = None

    # ---- one stream, for ours from client to server, else between the nodes beside the links ----
    def ends(self, kind):
        """(node and argv prefix of the client, those of the server, where the client connects,
        where the server listens). A kind that is a number is TCP over that path alone."""
        chain = self.chain
        if kind == OURS:
            return (chain.client, []), (chain.server, []), chain.entry, chain.target
        far = chain.far[self.best if kind == MPTCP else kind]
        wrap = ["mptcpize", "run"] if kind == MPTCP else []
        port = SERVER_PORT + (1 if kind == MPTCP else 2)
        return (chain.front, wrap), (chain.back, wrap), (far.b_ip, port), ("0.0.0.0", port)

    def stream(self, kind, direction=DOWNLOAD, seconds=LIMIT_S, size=None):
        """Under way, with its first bytes received."""
        (client, client_wrap), (server, server_wrap), entry, target = self.ends(kind)
        words = [seconds, *([size] if size else [])]
        helper = self.bench.helper
        if direction == DOWNLOAD:
            self.serve(kind, "gap")
            receiver = client.start("gap-watch", [*client_wrap,
                                                  *helper("gap", "watch", *entry, *words)],
                                    stdout=subprocess.PIPE)
            return Stream(receiver)
        self.serve(kind, None)
        receiver = server.start("gap-take", [*server_wrap,
                                             *helper("gap", "take", *target, *words)],
                                stdout=subprocess.PIPE)
        server.wait_open_port(target[1])
        client.start("gap-feed", [*client_wrap, *helper("gap", "feed", *entry)])
        return Stream(receiver)

    def serve(self, kind, name):
        """One of our helpers ("bulk", "gap", "pingpong"; None for none) as the server."""
        _, (server, wrap), _, target = self.ends(kind)
        serving, process = self.serving.get(target, (None, None))
        if serving == name:
            return
        if process:
            process.kill()
        if name:
            process = server.start(f"{name}-{target[1]}",
                                   [*wrap, *self.bench.helper(name, "serve", *target)])
            server.wait_open_port(target[1])
        self.serving[target] = (name, process)

    def requests_ms(self, count):
        """How long each of `count` requests took through our chain, one after the other."""
        self.serve(OURS, "bulk")
        return [self.request_ms() for _ in range(count)]

    def request_ms(self):
        started = time.monotonic()
        with self.chain.dial() as peer:
            peer.sendall(struct.pack("=QQQ", 0, REQUEST_BYTES, 0))
            receive_exactly(peer, REQUEST_BYTES)
            return (time.monotonic() - started) * 1e3

    # ---- what the links carry ----
    def link_bytes(self, direction):
        """Frames that came out at the receiver's side, per link."""
        key = "b>a" if direction == DOWNLOAD else "a>b"
        stats = self.emulator.stats()
        return [stats[link.name][key]["out_bytes"] for link in self.links]

    def wait_carrying(self, direction, link_numbers, part=0.8, limit_s=20):
        """Until each of these links carries `part` of its rate for WINDOW_S. Returns after how
        many seconds that began, `limit_s` when it did not."""
        started = time.monotonic()
        seen = [(started, self.link_bytes(direction))]
        while time.monotonic() < started + limit_s:
            time.sleep(LOOK_S)
            seen.append((time.monotonic(), self.link_bytes(direction)))
            while seen[-1][0] - seen[1][0] >= WINDOW_S:
                seen.pop(0)
            (since, before), (until, after) = seen[0], seen[-1]
            wanted = part * (until - since) * 1e6 / 8
            if until - since >= WINDOW_S and all(
                    after[i] - before[i] >= wanted * self.paths[i].rate_mbit
                    for i in link_numbers):
                return since - started
        return limit_s


class Stream:
    def __init__(self, receiver):
        self.receiver = receiver

    def finish(self, limit_s=LIMIT_S):
        """Its record, when it ends by itself."""
        said, _ = self.receiver.popen.communicate(timeout=limit_s)
        expect_exact(self.receiver.popen.returncode, self.receiver.name, self.receiver.log())
        return Record(json.loads(said))

    def end(self):
        self.receiver.signal(15)
        return self.finish(20)


class Record:
    """What a receiver saw; times are those of time.monotonic()."""

    def __init__(self, said):
        self.started, self.last, self.size = said["started"], said["last"], said["bytes"]
        self.end, self.gaps = said["end"], said["gaps"]
        self.bin_s, self.bins = said["bin_s"], said["bins"]

    def mean_mbit(self):
        return self.size * 8 / 1e6 / (self.last - self.started)

    def longest_gap_ms(self, since, until):
        """Of those that touch the time between."""
        return 1e3 * max((length for at, length in self.gaps
                          if at < until and at + length > since), default=0)

    def rate_mbit(self, since, until):
        first, behind = (max(int((t - self.started) / self.bin_s), 0) for t in (since, until))
        return sum(self.bins[first:behind]) * 8 / 1e6 / max((behind - first) * self.bin_s, 1e-9)

    def seconds_to_rate(self, since, until, mbit, window_s=0.2):
        """From `since` until a window of so much begins; until - since when none does."""
        at = since
        while at + window_s <= until:
            if self.rate_mbit(at, at + window_s) >= mbit:
                return at - since
            at += self.bin_s
        return until - since
