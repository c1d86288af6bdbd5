"""PoPs as namespaces of this machine, links as veth pairs between them: nothing but iproute2.

                     tbf, netem               tbf, netem
    namespace of a  [ to-b ]=====================[ to-a ]  namespace of b           or, without netem

    namespace of a  [ to-b ]====[ link_emulator, in a namespace of its own ]====[ to-a ]  of b
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Optional, Sequence

from ..journal import Journal
from ..model import INTERFACE_CHARS_MAX, Link, Network, Pop, PopId
from . import shape
from .base import DOWN, Place, PlaceError, SideSeen, first_links
from .commands import call
from .emulated import Emulator
from .local import NETNS_FOLDER, LocalProcess, SocketChannel, inside

FIRST_NETWORK = int(ipaddress.ip_address("10.200.0.0"))  # each link has four addresses from here
LINKS_MAX = 1 << 14
BEFORE_EMULATOR = 0.99  # of a link's rate, so that the queue is where it is divided
SETTINGS = Path("/proc/sys/net")  # of the namespace that the reader is in


class Side:
    """One end of a link."""

    def __init__(self, pop: PopId, device: str, address: ipaddress.IPv4Interface):
        self.pop, self.device, self.address = pop, device, address


class NamespacePlace(Place):
    """`tag` begins the names of the namespaces, at most 6 characters."""

    def __init__(self, journal: Journal, bin_dir: Path, tag: str):
        self.journal, self.bin_dir, self.tag = journal, bin_dir, tag
        self.network: Network = Network([Pop(0)], [], [])
        self.sides: dict[str, tuple[Side, Side]] = {}
        self.shares_kbit: dict[tuple[str, PopId], dict[int, float]] = {}
        self.processes: set[LocalProcess] = set()  # those that have not been stopped
        self.emulator: Optional[Emulator] = None
        self.has_netem = False
        self.cut: set[str] = set()  # names of links
        self.is_routed = False

    # ---- names ----

    def namespace(self, pop: PopId) -> str:
        return f"{self.tag}.{pop}"

    def log_path(self, name: str) -> Path:
        return self.journal.folder / f"{name}.log"

    def address(self, link: str, pop: PopId) -> str:
        return str(self._side(link, pop).address.ip)

    def _side(self, link: str, pop: PopId) -> Side:
        return next(side for side in self.sides[link] if side.pop == pop)

    # ---- the network ----

    def setup(self, network: Network) -> None:
        self.network = network
        try:
            for pop in network.pops:
                self._make_pop(pop)
            self.has_netem = self._try_netem()
            self._name_sides()
            for name, link in network.links.items():
                self._join(name, link)
        except BaseException:
            self.destroy()
            raise

    def _make_pop(self, pop: PopId) -> None:
        self._make_namespace(self.namespace(pop))

    def _make_namespace(self, name: str, pid: Optional[int] = None) -> None:
        """A new one, or that of a process: the name keeps it when the process has ended."""
        if (NETNS_FOLDER / name).exists():
            raise PlaceError(f"namespace {name} is there already, and not ours")
        self.journal.add("namespace", name=name)
        call(["ip", "netns", *(["add", name] if pid is None else ["attach", name, pid])])
        call(["ip", "-n", name, "link", "set", "lo", "up"])

    def _try_netem(self) -> bool:
        first = self.namespace(next(iter(self.network.pops)))
        call(["ip", "-n", first, "link", "add", "trial", "type", "veth",
              "peer", "name", "trial-end"])
        try:
            return shape.has_netem(self._tc(first), "trial")
        finally:
            call(["ip", "-n", first, "link", "delete", "trial"])

    def _tc(self, namespace: str) -> shape.Tc:
        """tc takes -j before its object and -n before that."""
        return lambda *words: call(["tc", "-n", namespace, *words])

    def _name_sides(self) -> None:
        links = self.network.links
        if len(links) > LINKS_MAX:
            raise PlaceError(f"{len(links)} links, expected at most {LINKS_MAX}")
        taken: set[tuple[PopId, str]] = {(getattr(link, end), device) for link in links.values()
                                         for end in "ab"
                                         if (device := getattr(link, f"{end}_interface"))}
        for number, (name, link) in enumerate(links.items()):
            a, b = self.sides[name] = tuple(self._make_side(link, number, end, taken) for end in "ab")
            if a.address.network != b.address.network:
                raise PlaceError(f"{link}: {a.address} and {b.address} are not in one network")

    @staticmethod
    def _make_side(link: Link, number: int, end: str, taken: set[tuple[PopId, str]]) -> Side:
        pop, peer = (link.a, link.b) if end == "a" else (link.b, link.a)
        device = getattr(link, f"{end}_interface")
        if not device:
            device = f"to-{peer}"
            if len(device) > INTERFACE_CHARS_MAX or (pop, device) in taken:
                device = f"link{number}"
            taken.add((pop, device))
        given = getattr(link, f"{end}_address")
        address = given or (f"{ipaddress.ip_address(FIRST_NETWORK + 4 * number + 1 + (end == 'b'))}"
                            "/30")
        return Side(pop, device, ipaddress.ip_interface(address))

    def _join(self, name: str, link: Link) -> None:
        if shape.needs_netem(link) and not self.has_netem:
            self._join_emulated(name, link)
        else:
            self._join_plain(name, link)

    def _join_plain(self, name: str, link: Link) -> None:
        a, b = self.sides[name]
        call(["ip", "-n", self.namespace(a.pop), "link", "add", a.device, "type", "veth",
              "peer", "name", b.device, "netns", self.namespace(b.pop)])
        for side in (a, b):
            self._bring_up(side)
        self._shape_both(name, link)

    def _join_emulated(self, name: str, link: Link) -> None:
        there = self._emulator_namespace()
        number = list(self.network.links).index(name)
        ports = [f"port{number}{end}" for end in "ab"]
        for side, port in zip(self.sides[name], ports):
            call(["ip", "-n", self.namespace(side.pop), "link", "add", side.device, "type", "veth",
                  "peer", "name", port, "netns", there])
            self._bring_up(side)
        self.emulator.join(name, ports)
        self.emulator.set(name, link)

    def _bring_up(self, side: Side) -> None:
        call(["ip", "-n", self.namespace(side.pop), "-batch", "-"],
             f"address replace {side.address} dev {side.device}\n"
             f"link set {side.device} up\n")

    def _emulator_namespace(self) -> str:
        name = f"{self.tag}.emulator."
        if self.emulator is None:
            self._make_namespace(name)
            for which in ("all", "default"):
                call(["ip", "netns", "exec", name, "sysctl", "-qw",
                      f"net.ipv6.conf.{which}.disable_ipv6=1"])
            self.emulator = Emulator(self.bin_dir / "link_emulator", ["ip", "netns", "exec", name],
                                     self.log_path("link_emulator"))
            self.journal.add_process(self.emulator.popen.pid)
        return name

    def _is_emulated(self, name: str) -> bool:
        return self.emulator is not None and name in self.emulator.stats()

    def set_link(self, name: str, link: Link) -> None:
        if self._is_emulated(name):
            self.emulator.set(name, link)
            self._shape_both(name, link)
        elif shape.needs_netem(link) and not self.has_netem:
            a = self.sides[name][0]
            call(["ip", "-n", self.namespace(a.pop), "link", "delete", a.device])
            self._join_emulated(name, link)
            self.set_link_up(name, name not in self.cut)
            self._shape_both(name, link)
        else:
            self._shape_both(name, link)
        self.network.links[name] = link

    def _shape_both(self, name: str, link: Link) -> None:
        for side in self.sides[name]:
            self._shape(name, side, link)

    def set_shares(self, name: str, pop: PopId, shares_kbit: dict[int, float]) -> None:
        if shares_kbit == self.shares_kbit.get((name, pop), {}):
            return
        self.shares_kbit[name, pop] = shares_kbit
        self._shape(name, self._side(name, pop), self.network.links[name])

    def _shape(self, name: str, side: Side, link: Link) -> None:
        tc, shares_kbit = self._tc(self.namespace(side.pop)), self.shares_kbit.get((name, side.pop), {})
        if not self._is_emulated(name):
            shape.shape(tc, side.device, link, shares_kbit)
        elif shares_kbit:  # before the emulator, which is to have no queue then
            shape.shape(tc, side.device, dataclasses.replace(
                link, bandwidth_mbit=BEFORE_EMULATOR * link.bandwidth_mbit, delay_ms=0,
                loss_percent=0), shares_kbit)
        elif shape.has_root(tc, side.device):
            tc("qdisc", "delete", "dev", side.device, "root")

    def set_link_up(self, name: str, is_up: bool) -> None:
        for side in self.sides[name]:
            call(["ip", "-n", self.namespace(side.pop), "link", "set", side.device,
                  "up" if is_up else "down"])
        (self.cut.discard if is_up else self.cut.add)(name)
        if is_up and self.is_routed:  # the kernel forgot the routes of an interface that went down
            for side in self.sides[name]:
                self._route_from(side.pop)

    def destroy(self) -> None:
        try:
            for process in list(self.processes):
                process.stop()
            if self.emulator is not None:
                self.emulator.stop()
        finally:
            self.emulator = None
            self.sides.clear()
            self.shares_kbit.clear()
            self.cut.clear()
            self.is_routed = False
            self.journal.clear()

    # ---- routes ----

    def route(self) -> int:
        self.is_routed = True
        for pop in self.network.pops:
            self._let_forward(pop)
        return sum(self._route_from(pop) for pop in self.network.pops)

    def _let_forward(self, pop: PopId) -> None:
        """Also what would not go back the way it came: of several shortest ways, each PoP has its own."""
        with inside(self.namespace(pop)):
            for setting in SETTINGS.glob("ipv[46]/conf/all/forwarding"):
                setting.write_text("1", encoding="ascii")
            for setting in SETTINGS.glob("ipv4/conf/*/rp_filter"):
                setting.write_text("0", encoding="ascii")

    def _route_from(self, pop: PopId) -> int:
        """To all but its neighbours on the same link, and not over links that are cut."""
        routes = []
        first = {to: name for to, name in first_links(self.network, pop).items()
                 if name not in self.cut}
        for a, b in self.sides.values():
            routes += [f"route replace {side.address.ip} {self._first_hop(pop, first[side.pop])}\n"
                       for side in (a, b) if pop not in (a.pop, b.pop) and side.pop in first]
        call(["ip", "-n", self.namespace(pop), "-batch", "-"], "".join(routes))
        return len(routes)

    def _first_hop(self, pop: PopId, link: str) -> str:
        a, b = self.sides[link]
        own, other = (a, b) if a.pop == pop else (b, a)
        return f"via {other.address.ip} dev {own.device}"

    # ---- programs ----

    def start(self, pop: PopId, name: str, argv: Sequence[str]) -> LocalProcess:
        program = self.bin_dir / argv[0]
        if not os.access(program, os.X_OK):
            raise PlaceError(f"{program}: there is no such program; `make` builds it")
        log = self.log_path(name)
        with open(log, "wb") as output, inside(self.namespace(pop)):
            popen = subprocess.Popen([str(program), *argv[1:]], stdin=subprocess.DEVNULL,
                                     stdout=output, stderr=output, start_new_session=True)
        self.journal.add_process(popen.pid)
        process = LocalProcess(name, pop, log, popen, self.processes.discard)
        self.processes.add(process)
        return process

    def run(self, pop: PopId, argv: Sequence[str], limit_s: float = 30) -> str:
        return call(["ip", "netns", "exec", self.namespace(pop), *argv], limit_s=limit_s)

    def connect(self, pop: PopId, port: int, limit_s: float) -> SocketChannel:
        with inside(self.namespace(pop)):
            return SocketChannel(socket.create_connection(("127.0.0.1", port), limit_s))

    # ---- looking ----

    def look(self) -> dict[tuple[str, PopId], SideSeen]:
        seen = {}
        shown = {pop: self._devices(pop) for pop in self.network.pops}
        for name, sides in self.sides.items():
            for side in sides:
                if side.device in shown[side.pop]:
                    seen[name, side.pop] = shown[side.pop][side.device]
        return seen

    def _devices(self, pop: PopId) -> dict[str, SideSeen]:
        said = json.loads(call(["ip", "-n", self.namespace(pop), "-j", "-s", "link", "show"]))
        rates_kbit = shape.rates_kbit(self._tc(self.namespace(pop)))
        return {entry["ifname"]: SideSeen(entry["operstate"] not in DOWN,
                                          entry["stats64"]["tx"]["bytes"],
                                          rates_kbit.get(entry["ifname"]))
                for entry in said}
