"""A multicast relay between two networks, for scenarios and benchmarks:

    source --(in)-- relay --(out)-- target

Bridged: the networks are bridges at the relay, `br0` and `br1`, as on a host with containers."""

import json
import select
import signal
import socket
import struct

from lab import Failure, expect, expect_equal, wait_for

IN_GROUP, IN_PORT = "239.1.1.1", 5001
OUT_GROUP, OUT_PORT = "239.10.1.1", 6001
SO_RCVBUFFORCE = 33


def plus(address, step):
    """The address `step` above another one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    number = int.from_bytes(socket.inet_pton(family, address), "big") + step
    size = 16 if ":" in address else 4
    return socket.inet_ntop(family, number.to_bytes(size, "big"))


class Relay:
    """multicast_relay in a node, and its control socket."""

    def __init__(self, lab, node, workers=2, options=(), name="relay"):
        self.lab, self.node, self.name = lab, node, name
        self.workers = workers
        self.path = str(lab.folder / f"{name}.sock")
        self.options = (*getattr(lab, "relay_options", ()), *options)
        self.starts = 0
        self.start()

    def start(self):
        self.launch()
        wait_for(self.is_up, f"{self.name} answers")

    def launch(self):
        self.starts += 1
        out = self.lab.folder / f"{self.name}{self.starts}.out"
        with open(out, "wb") as stdout:
            self.process = self.node.start(
                f"{self.name}{self.starts}",
                [self.lab.bin_dir / "multicast_relay", "supervisor", "--num-workers",
                 self.workers, "--control-socket", self.path, *self.options], stdout=stdout)
        self.out = out

    def is_up(self):
        if not self.process.is_running():
            raise Failure(f"{self.name} has ended: {self.process.log()[-500:]}")
        try:
            return self.ask("ping")["ok"]
        except OSError:
            return False

    def ask(self, op, **args):
        """One request; the reply, good or bad."""
        return self.ask_all([{"op": op, **args}])[0]

    def ask_all(self, requests):
        """Several on one connection, written without waiting for the replies."""
        text = "".join(json.dumps(request) + "\n" for request in requests)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.path)
            sock.setblocking(False)
            replies, sent = b"", 0
            data = text.encode()
            while replies.count(b"\n") < len(requests):
                # Both at once: it reads no more from who does not read its answers.
                readable, writable, _ = select.select([sock], [sock] if sent < len(data) else [],
                                                      [], 60)
                expect(readable or writable, f"no answer of {self.name} for a minute")
                if writable:
                    sent += sock.send(data[sent:sent + 16384])
                if readable:
                    more = sock.recv(1 << 20)
                    expect(more, f"the relay hung up after {len(replies.splitlines())} replies")
                    replies += more
        return [json.loads(line) for line in replies.splitlines()]

    def must(self, op, **args):
        reply = self.ask(op, **args)
        expect(reply["ok"], f"{op} {args}: {reply}")
        return reply

    def refuse(self, what, op, **args):
        reply = self.ask(op, **args)
        expect(not reply["ok"] and what in reply["error"], f"{op} {args}: {reply}, "
                                                           f"expected {what!r}")
        return reply

    def add(self, rule):
        return self.must("add", rule=rule)

    def total(self):
        return self.must("stats", count=1)["total"]

    def pids(self):
        """By index, of the workers that take streams."""
        return {w["index"]: w["pid"] for w in self.must("workers")["workers"]
                if w["state"] == "live"}

    def end(self):
        """Returns what the lines at the end say: (packets matched, packets sent)."""
        self.process.signal(signal.SIGTERM)
        self.process.succeed()
        lines = self.out.read_text().splitlines()
        numbers = [dict(word.split("=") for word in line.split() if "=" in word)
                   for line in lines if "FINAL" in line]
        expect_equal(len(numbers), 2, f"lines with FINAL in {lines}")
        return int(numbers[0]["matched"]), int(numbers[1]["sent"])


class Place:
    """The three nodes and their links, or bridges."""

    def __init__(self, lab, is_bridged=False):
        self.lab = lab
        self.source, self.node, self.target = map(lab.node, ("source", "relay", "target"))
        self.near, self.far = lab.link(self.source, self.node), lab.link(self.node, self.target)
        self.source_device, self.target_device = self.near.a_device, self.far.b_device
        self.input, self.output = self.near.b_device, self.far.a_device
        # Senders of other networks: the relay is there because routing is not.
        for node in (self.node, self.target):
            for which in ("all", "default", self.input, self.output, self.target_device):
                if (node is self.node) != (which == self.target_device):
                    node.set(f"net/ipv4/conf/{which}/rp_filter", "0")
        if is_bridged:
            self.input = self.bridge("br0", self.near.b_device, self.near.b_ip)
            self.output = self.bridge("br1", self.far.a_device, self.far.a_ip)

    def bridge(self, name, port, ip):
        """With IGMP snooping and a querier, as the plan of the benchmark has it."""
        self.node.ip(f"link add {name} type bridge mcast_snooping 1 mcast_querier 1 "
                     "mcast_query_response_interval 100 mcast_startup_query_interval 100",
                     f"addr flush dev {port}", f"link set {port} master {name}",
                     f"addr add {ip}/24 dev {name}", f"link set {name} up")
        return name

    def rule(self, number=0, **more):
        """Of stream `number`: the same one of `generate` and `sink`."""
        return {"name": f"stream{number}",
                "inputs": [{"interface": self.input, "group": plus(IN_GROUP, number),
                            "port": IN_PORT + number}],
                "outputs": [{"address": plus(OUT_GROUP, number), "port": OUT_PORT + number,
                             "interface": self.output}], **more}

    def sink(self, streams, count, *options, group=OUT_GROUP, port=OUT_PORT, name="sink"):
        """A traffic_sink that waits for `count` packets of each stream; it is ready."""
        out = self.lab.folder / f"{name}.json"
        with open(out, "wb") as stdout:
            sink = self.target.start(name, [
                self.lab.bin_dir / "traffic_sink", "--group", group, "--port", port,
                "--interface", self.target_device, "--streams", streams, "--expect", count,
                "--json", *options], stdout=stdout)
        sink.out = out
        wait_for(lambda: "ready" in sink.log(), "the sink is ready")
        return sink

    def probe(self, group, port):
        """A plain socket at the target that has joined."""
        is_v6 = ":" in group
        with self.target.inside():
            probe = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
            index = socket.if_nametoindex(self.target_device)
        if is_v6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                             socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", index))
        else:
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                             socket.inet_aton(group) + struct.pack("@4xi", index))
        probe.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        probe.bind((group, port, 0, index) if is_v6 else (group, port))
        probe.settimeout(0.05)
        return probe

    def sender(self, ip):
        """A plain socket at the source, which sends to groups by the interface of that address."""
        with self.source.inside():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ip))
        return sender

    def generate(self, streams, count, rate, *options, group=IN_GROUP, port=IN_PORT,
                 size=1024, name="generator"):
        return self.source.start(name, [
            self.lab.bin_dir / "traffic_generator", "--group", group, "--port", port,
            "--interface", self.source_device, "--streams", streams, "--rate", rate,
            "--size", size, "--count", count, "--json", *options])


def result(sink):
    """The report of a sink that has ended, or ends now."""
    if sink.is_running():
        sink.wait(120)
    return json.loads(sink.out.read_text())


def expect_exact(sink):
    report = result(sink)
    total = report["total"]
    expect(report["exact"] and total["duplicated"] == 0 and total["lost"] == 0
           and total["corrupted"] == 0, f"not each packet came once: {total}")
    return total
