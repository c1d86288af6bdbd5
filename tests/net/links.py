"""Links with delay, loss and faults, for scenarios: one link_emulator holds all of a Lab, in a
namespace of its own between the nodes.

    emulator = Emulator(lab)
    link = emulator.link(a, b, rate_mbit=50, delay_ms=10)      addresses as of lab.link
    link.set(loss_percent=1)                                   while it runs
    link.set("a>b", rate_mbit=5)                               one direction
    link.blackhole("a>b"); link.heal(); link.down(); link.up()
"""

import json
import select
import subprocess
import threading

from lab import Failure, Link, Process, expect, expect_equal, wait_for

PROGRAM = "link_emulator"
NODE = "emulator"
BOTH = "both"
REPLY_LIMIT_S = 20
# How a keyword argument is written in the emulator's language; None is "none" there.
KEYS = {
    "rate_mbit": ("rate", "{}mbit"),
    "delay_ms": ("delay", "{}ms"),
    "jitter_ms": ("jitter", "{}ms"),
    "loss_percent": ("loss", "{}%"),
    "burst": ("burst", "{}%:{}"),  # (percent of packets that begin one, mean length)
    "reorder": ("reorder", "{}%:{}ms"),  # (percent that are held back, for how long)
    "duplicate_percent": ("duplicate", "{}%"),
    "limit_kb": ("limit", "{}kb"),  # of the queue
    "limit_packets": ("limit", "{}p"),
}


def decimal(number):
    """Never with an exponent."""
    return f"{number:.9f}".rstrip("0").rstrip(".")


def words(settings):
    said = []
    for name, value in settings.items():
        key, form = KEYS[name]
        numbers = value if isinstance(value, tuple) else (value,)
        said += [key, "none" if value is None else form.format(*map(decimal, numbers))]
    return " ".join(said)


class Emulator(Process):
    """Ends with the scenario: its standard input is ours."""

    def __init__(self, lab, options=(), wrap=()):
        self.lab, self.lock = lab, threading.Lock()
        self.node = lab.node(NODE)
        # Our ends of the links are ports and no hosts: they say nothing of their own.
        for which in ("all", "default"):
            self.node.set(f"net/ipv6/conf/{which}/disable_ipv6", "1")
        argv = [*wrap, lab.bin_dir / PROGRAM, "--stdin", *options]
        super().__init__(lab, self.node, PROGRAM, argv, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
        expect_equal(self.read_line(), "ready", f"first line of {PROGRAM}")

    def read_line(self):
        """Replies come one by one, so what is behind the line is never in the buffer."""
        ready = select.select([self.popen.stdout], [], [], REPLY_LIMIT_S)[0]
        line = self.popen.stdout.readline().decode() if ready else ""
        expect(line.endswith("\n"), f"{PROGRAM}: no reply; {self.log()[-500:].strip()}")
        return line.rstrip("\n")

    def command(self, line):
        """Returns what stands behind "ok". Any thread may."""
        with self.lock:
            self.popen.stdin.write(line.encode() + b"\n")
            self.popen.stdin.flush()
            reply = self.read_line()
        if not reply.startswith("ok"):
            raise Failure(f"{PROGRAM}: {line}: {reply}")
        return reply[3:]

    def wait_log(self, text):
        wait_for(lambda: text in self.log(), f"{PROGRAM}: a line with {text!r}")

    def link(self, a, b, direction=BOTH, **settings):
        return EmulatedLink(self, a, b, direction, settings)

    def stats(self):
        return json.loads(self.command("stats"))["links"]

    def stop(self):
        """A clean end; returns the last statistics."""
        self.command("quit")
        last = json.loads(self.read_line())["links"]
        self.succeed()
        expect_equal(self.log(), "", f"what {PROGRAM} complains of")
        return last


class EmulatedLink(Link):
    """Between two nodes, with the addresses and devices of a plain link. Directions are "a>b",
    "b>a" and "both"; a and b are as they were given."""

    def __init__(self, emulator, a, b, direction, settings):
        self.emulator = emulator
        super().__init__(emulator.lab, a, b)
        if settings:
            self.set(direction, **settings)

    def join(self):
        self.name = f"{self.a.name}-{self.b.name}-{self.number}"
        ports = [f"link{self.number}{end}" for end in "ab"]
        for node, device, port in zip((self.a, self.b), (self.a_device, self.b_device), ports):
            node.ip(f"link add {device} type veth "
                    f"peer name {port} netns {self.emulator.node.namespace}")
        self.emulator.command(f"link {self.name} {' '.join(ports)}")

    def set(self, direction=BOTH, **settings):
        self.emulator.command(f"set {self.name} {direction} {words(settings)}")

    def blackhole(self, direction=BOTH, on=True):
        """From now on nothing comes out of it, and nobody is told."""
        self.emulator.command(f"blackhole {self.name} {direction} {'on' if on else 'off'}")

    def heal(self):
        self.blackhole(BOTH, False)

    def down(self):
        """Both nodes lose the carrier, and what is under way is lost."""
        self.emulator.command(f"down {self.name} on")

    def up(self):
        self.emulator.command(f"down {self.name} off")

    def stats(self):
        """{"a>b": {...}, "b>a": {...}, "down": ...}, see link_emulator(1)."""
        return json.loads(self.emulator.command(f"stats {self.name}"))["links"][self.name]

    def has_carrier(self):
        """At both nodes."""
        return all(carrier(node, device) for node, device in ((self.a, self.a_device),
                                                              (self.b, self.b_device)))

    def wait_carrier(self):
        wait_for(self.has_carrier, f"{self.name}: carrier at both ends")


def carrier(node, device):
    link = json.loads(node.output(["ip", "-j", "link", "show", "dev", device]))[0]
    return "LOWER_UP" in link["flags"]
