"""What the parts about the multicast relay share: the plan's streams, what counts packets between
the relay's interfaces, socat in the relay's place, processor time and memory of who relays.

    source --(br0)-- relay --(br1)-- target

Packets are counted by nftables as they enter the relay by its input's port and as they leave by
its output's: what generators and sinks lose themselves is not in it. A packet that somebody put
together of several (UDP GSO) counts as those, by its bytes."""

import json
import signal
import time

from lab import wait_for
from multicasting import IN_GROUP, IN_PORT, OUT_GROUP, OUT_PORT, Relay, plus, result

STREAMS, PPS, SIZE = 50, 3000, 1024  # the plan
BURST = 8
TTL = 16
SOCAT = "socat"
HEAD_BYTES = {"entered": 28, "left": 42}  # IPv4 and UDP; where packets leave, Ethernet too
SETTLE_S = 0.2


class Counters:
    """Of the packets to the groups of some streams, in a Place."""

    def __init__(self, place, streams=STREAMS, size=SIZE):
        self.place, self.streams, self.size = place, streams, size

    def reset(self):
        """Made anew: also what nobody reads starts at 0."""
        self.place.node.run(["nft", "delete", "table", "netdev", "count"])
        self.place.node.output(["nft", "-f", "-"], input="\n".join((
            "table netdev count {",
            *self.chain("entered", IN_GROUP, "ingress", self.place.near.b_device),
            *self.chain("left", OUT_GROUP, "egress", self.place.far.a_device), "}\n")))

    def chain(self, name, group, hook, device):
        groups = ", ".join(plus(group, n) for n in range(self.streams))
        return (f"set {name} {{ type ipv4_addr; counter; elements = {{ {groups} }}; }}",
                f"chain {name}_chain {{",
                f'type filter hook {hook} device "{device}" priority -100;',
                f"meta l4proto udp ip daddr @{name}", "}")

    def read(self, name):
        """Packets by stream, those within one that was put together too."""
        said = json.loads(self.place.node.output(["nft", "-j", "list", "set", "netdev", "count",
                                                  name]))
        found = {}
        for item in said["nftables"][-1]["set"]["elem"]:
            count = item["elem"]["counter"]
            payload = count["bytes"] - count["packets"] * HEAD_BYTES[name]
            found[item["elem"]["val"]] = payload // self.size
        return found

    def settled(self):
        """(entered, left) in all, when nothing more leaves."""
        left = -1
        while (now := sum(self.read("left").values())) != left:
            left = now
            time.sleep(SETTLE_S)
        return self.entered(), left

    def entered(self):
        return sum(self.read("entered").values())


class DriverCounters(Counters):
    """Where packets are taken from the driver, nftables sees none of them enter: the driver's own
    counts, of what its program gave to a socket and of what found no room there."""

    def reset(self):
        super().reset()
        self.before = self.driver()

    def driver(self):
        said = self.place.node.output(["ethtool", "-S", self.place.near.b_device])
        return sum(int(value) for name, _, value in
                   (line.strip().partition(":") for line in said.splitlines())
                   if name.startswith("rx_queue_") and name.endswith(("_xdp_redirect", "_drops"))
                   and not name.endswith("_xdp_drops"))

    def entered(self):
        return self.driver() - self.before


def per_cent_lost(entered, left):
    return 100 * max(0, entered - left) / entered


class Ours:
    """multicast_relay with the plan's rules."""

    def __init__(self, place, workers, streams=STREAMS, options=(), path=None):
        """`path`: of --rx, which becomes its name."""
        self.place, self.workers, self.streams, self.options = place, workers, streams, options
        self.name = f"ours, {workers} worker{'s' if workers > 1 else ''}"
        if path:
            self.name = f"ours, --rx {path}"
            self.options = ("--rx", path, *options)
        self.make_counters = DriverCounters if path == "xdp" else Counters

    def start(self):
        self.relay = Relay(self.place.lab, self.place.node, self.workers, self.options,
                           name=f"relay{len(self.place.lab.processes)}")
        started = time.monotonic()
        add_one_by_one(self.place, self.relay, self.streams)
        return time.monotonic() - started

    def pids(self):
        return [self.relay.process.popen.pid, *self.relay.pids().values()]

    def drops(self):
        """What it knows to have lost: packets by reason."""
        return {why: count for why, count in self.relay.total()["drops"].items() if count}

    def stop(self):
        self.relay.end()


def client(lab):
    """control_client, or None where it is not built."""
    path = lab.bin_dir / "control_client"
    return path if path.exists() else None


def add_one_by_one(place, relay, streams, first=0):
    """As the plan has it: one run of control_client for each rule; by a shell, as people do."""
    if not client(place.lab):
        for number in range(first, first + streams):
            relay.add(place.rule(number))
        return
    lines = []
    for number in range(first, first + streams):
        lines.append(f"{client(place.lab)} --control-socket {relay.path} add "
                     f"--input-interface {place.input} --input-group {plus(IN_GROUP, number)} "
                     f"--input-port {IN_PORT + number} --name stream{number} --ttl {TTL} "
                     f"--outputs {plus(OUT_GROUP, number)}:{OUT_PORT + number}:{place.output}")
    place.node.output(["sh", "-e"], input="\n".join(lines) + "\n")


class Socat:
    """One for each stream."""

    name = SOCAT
    make_counters = Counters

    def __init__(self, place, streams=STREAMS, wrap=()):
        self.place, self.streams, self.wrap = place, streams, wrap

    def start(self):
        started = time.monotonic()
        self.processes = [self.start_one(number) for number in range(self.streams)]
        wait_bound(self.place.node, self.streams)
        return time.monotonic() - started

    def start_one(self, number):
        place = self.place
        return place.node.start(f"socat{number}", [
            *self.wrap, "socat", "-u",
            f"UDP4-RECV:{IN_PORT + number},reuseaddr,"
            f"ip-add-membership={plus(IN_GROUP, number)}:{place.input}",
            f"UDP4-DATAGRAM:{plus(OUT_GROUP, number)}:{OUT_PORT + number},"
            f"ip-multicast-if={place.far.a_ip},ip-multicast-ttl={TTL}"])

    def pids(self):
        return [process.popen.pid for process in self.processes]

    def stop(self):
        for process in self.processes:
            process.kill()


def wait_bound(node, count):
    """Until so many UDP sockets are bound."""
    wait_for(lambda: len(node.output(["ss", "-Hlun"]).splitlines()) >= count,
             f"{count} sockets bound in {node.name}")


class SocatSinks:
    """They count nothing."""

    def __init__(self, place, streams=STREAMS):
        self.processes = [place.target.start(f"socat-sink{number}", [
            "socat", "-u", f"UDP4-RECV:{OUT_PORT + number},reuseaddr,"
            f"ip-add-membership={plus(OUT_GROUP, number)}:{place.target_device}",
            "OPEN:/dev/null"]) for number in range(streams)]
        wait_bound(place.target, streams)

    def end(self):
        for process in self.processes:
            process.kill()
        return None


class Sinks:
    """A traffic_sink for each stream."""

    def __init__(self, place, count, streams=STREAMS):
        self.processes = [place.sink(1, count, "--idle", "600s", group=plus(OUT_GROUP, number),
                                     port=OUT_PORT + number, name=f"sink{number}")
                          for number in range(streams)]

    def end(self):
        """Sums of received, duplicated and corrupted packets. All that was sent has come."""
        for process in self.processes:
            if process.is_running():
                process.signal(signal.SIGTERM)
        totals = [result(process)["total"] for process in self.processes]
        return {key: sum(total[key] for total in totals)
                for key in ("received", "duplicated", "corrupted")}


def generate_each(place, count, pps=PPS, burst=1, streams=STREAMS):
    """A traffic_generator for each stream; returns when they have begun."""
    return [place.generate(1, count, pps, "--burst", burst, group=plus(IN_GROUP, number),
                           port=IN_PORT + number, size=SIZE, name=f"generator{number}")
            for number in range(streams)]


def wait_all(generators, limit_s):
    for generator in generators:
        generator.succeed(limit_s)


def pss_mib(pids):
    """Memory, what is shared divided among those who share it."""
    kib = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            kib += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024
