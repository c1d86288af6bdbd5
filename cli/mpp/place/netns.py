"""PoPs as namespaces of this machine, links as veth pairs between them: nothing but iproute2.

                     tbf, netem               tbf, netem
    namespace of a  [ to-b ]=====================[ to-a ]  namespace of b           or, without netem

    namespace of a  [ to-b ]====[ link_emulator, in a namespace of its own ]====[ to-a ]  of b
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import os
import socket
import subprocess
from itertools import count
from pathlib import Path
from typing import Iterator, Mapping, Optional, Sequence

from ..journal import Journal
from ..model import INTERFACE_CHARS_MAX, Link, Network, PopId
from . import shape
from .base import Place, PlaceError, Shares, SideSeen, has_carrier
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

    pops_are = "namespaces"

    def __init__(self, journal: Journal, bin_dir: Path, tag: str):
        super().__init__(journal, bin_dir, tag)
        self.sides: dict[str, tuple[Side, Side]] = {}
        self.processes: set[LocalProcess] = set()  # those that have not been stopped
        self.emulator: Optional[Emulator] = None
        self.emulated: set[str] = set()  # names of links that go through it
        self.has_netem = False

    # ---- names ----

    def namespace(self, pop: PopId) -> str:
        return f"{self.tag}.{pop}"

    def _log(self, name: str) -> Path:
        return self.journal.folder / f"{name}.log"

    def _program(self, name: str) -> Path:
        program = self.bin_dir / name
        if not os.access(program, os.X_OK):
            raise PlaceError(f"{program}: there is no such program; `make` builds it")
        return program

    def address(self, link: str, pop: PopId) -> str:
        return str(self._side(link, pop).address.ip)

    def _side(self, link: str, pop: PopId) -> Side:
        return next(side for side in self.sides[link] if side.pop == pop)

    def _ip(self, pop: PopId, *words: object, lines: Optional[str] = None) -> None:
        """`lines` are for `-batch -`."""
        call(["ip", "-n", self.namespace(pop), *words], lines)

    # ---- the network ----

    def setup(self, network: Network) -> None:
        self._need_root()
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

    def _need_root(self) -> None:
        if os.geteuid() != 0:
            raise PlaceError(f"PoPs that are {self.pops_are} need root, and this is user "
                             f"{os.geteuid()}")

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
        for number, ((name, link), free) in enumerate(zip(links.items(), self._free_networks())):
            a, b = self.sides[name] = tuple(
                Side(getattr(link, end), self._device(link, number, end, taken),
                     ipaddress.ip_interface(getattr(link, f"{end}_address") or f"{own}/30"))
                for end, own in zip("ab", free.hosts()))
            if a.address.network != b.address.network:
                raise PlaceError(f"{link}: {a.address} and {b.address} are not in one network")

    def _free_networks(self) -> Iterator[ipaddress.IPv4Network]:
        """Without an address that some link names."""
        given = {ipaddress.ip_network((ipaddress.ip_interface(address).ip, 30), strict=False)
                 for link in self.network.links.values()
                 for address in (link.a_address, link.b_address) if address}
        for number in count():
            free = ipaddress.ip_network((FIRST_NETWORK + 4 * number, 30))
            if free not in given:
                yield free

    @staticmethod
    def _device(link: Link, number: int, end: str, taken: set[tuple[PopId, str]]) -> str:
        """A name that is not taken is, afterwards."""
        pop, peer = (link.a, link.b) if end == "a" else (link.b, link.a)
        device = getattr(link, f"{end}_interface")
        if not device:
            device = f"to-{peer}"
            if len(device) > INTERFACE_CHARS_MAX or (pop, device) in taken:
                device = f"link{number}"
            taken.add((pop, device))
        return device

    def _join(self, name: str, link: Link) -> None:
        if self._needs_emulator(link):
            self._start_emulator()
            self._join_emulated(name)
        else:
            self._join_plain(name)
        self._shape_link(name, link)

    def _join_plain(self, name: str) -> None:
        a, b = self.sides[name]
        self._ip(a.pop, "link", "add", a.device, "type", "veth",
                 "peer", "name", b.device, "netns", self.namespace(b.pop))
        for side in (a, b):
            self._bring_up(side)

    def _bring_up(self, side: Side) -> None:
        self._ip(side.pop, "-batch", "-",
                 lines=f"address replace {side.address} dev {side.device}\n"
                       f"link set {side.device} up\n")

    # ---- links through the emulator ----

    def _needs_emulator(self, link: Link) -> bool:
        return shape.needs_netem(link) and not self.has_netem

    @property
    def _emulator_namespace(self) -> str:
        return f"{self.tag}.emulator."

    def _start_emulator(self) -> None:
        """Leaves nothing when it cannot be had."""
        if self.emulator is not None:
            return
        name, program = self._emulator_namespace, self._program("link_emulator")
        self._make_namespace(name)
        try:
            for which in ("all", "default"):
                call(["ip", "netns", "exec", name, "sysctl", "-qw",
                      f"net.ipv6.conf.{which}.disable_ipv6=1"])
            self.emulator = Emulator(program, ["ip", "netns", "exec", name],
                                     self._log("link_emulator"))
        except BaseException:
            call(["ip", "netns", "delete", name])
            raise
        self.journal.add_process(self.emulator.popen.pid)

    def _join_emulated(self, name: str) -> None:
        number = list(self.network.links).index(name)
        ports = [f"port{number}{end}" for end in "ab"]
        for side, port in zip(self.sides[name], ports):
            self._ip(side.pop, "link", "add", side.device, "type", "veth",
                     "peer", "name", port, "netns", self._emulator_namespace)
            self._bring_up(side)
        self.emulator.join(name, ports)
        self.emulated.add(name)

    def _go_through_emulator(self, name: str) -> None:
        """A link that is plain. Once the emulator is there little can fail; that is undone."""
        self._start_emulator()
        self._part(name)
        try:
            self._join_emulated(name)
        except PlaceError:
            self._part(name)
            self._join_plain(name)
            raise
        finally:
            self.set_link_up(name, name not in self.cut)

    def _part(self, name: str) -> None:
        """Also half a link."""
        for side in self.sides[name]:
            with contextlib.suppress(PlaceError):  # one end goes with the other
                self._ip(side.pop, "link", "delete", side.device)

    # ---- links ----

    def _shape_link(self, name: str, link: Link) -> None:
        if self._needs_emulator(link) and name not in self.emulated:
            self._go_through_emulator(name)
        if name in self.emulated:
            self.emulator.set(name, link)
        super()._shape_link(name, link)

    def _shape_side(self, name: str, pop: PopId, link: Link, shares_kbit: Shares) -> None:
        tc, device = self._tc(self.namespace(pop)), self._side(name, pop).device
        if name not in self.emulated:
            shape.shape(tc, device, link, shares_kbit)
        elif shares_kbit:  # before the emulator, which is to have no queue then
            shape.shape(tc, device, dataclasses.replace(
                link, bandwidth_mbit=BEFORE_EMULATOR * link.bandwidth_mbit, delay_ms=0,
                loss_percent=0), shares_kbit)
        elif shape.has_root(tc, device):
            tc("qdisc", "delete", "dev", device, "root")

    def _set_side_up(self, name: str, pop: PopId, is_up: bool) -> None:
        self._ip(pop, "link", "set", self._side(name, pop).device, "up" if is_up else "down")

    def destroy(self) -> None:
        try:
            for process in list(self.processes):
                process.stop()
            if self.emulator is not None:
                self.emulator.stop()
        finally:
            self.emulator = None
            self.emulated.clear()
            self.sides.clear()
            self._forget_links()
            self.journal.clear()

    # ---- routes ----

    def _let_forward(self) -> None:
        """Also what would not go back the way it came: of several shortest ways, each PoP has its own."""
        for pop in self.network.pops:
            with inside(self.namespace(pop)):
                for setting in SETTINGS.glob("ipv[46]/conf/all/forwarding"):
                    setting.write_text("1", encoding="ascii")
                for setting in SETTINGS.glob("ipv4/conf/*/rp_filter"):
                    setting.write_text("0", encoding="ascii")

    def _add_routes(self, pop: PopId, links: Mapping[str, str]) -> int:
        self._ip(pop, "-batch", "-",
                 lines="".join(f"route replace {address} {self._first_hop(pop, link)}\n"
                               for address, link in links.items()))
        return len(links)

    def _first_hop(self, pop: PopId, link: str) -> str:
        a, b = self.sides[link]
        own, other = (a, b) if a.pop == pop else (b, a)
        return f"via {other.address.ip} dev {own.device}"

    # ---- programs ----

    def start(self, pop: PopId, name: str, argv: Sequence[str]) -> LocalProcess:
        program, log = self._program(argv[0]), self._log(name)
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
        emulated_kbit = self._emulated_kbit()
        for name, sides in self.sides.items():
            for end, side in enumerate(sides):
                if (at := shown[side.pop].get(side.device)) is not None:
                    seen[name, side.pop] = dataclasses.replace(
                        at, bandwidth_kbit=emulated_kbit.get((name, end), at.bandwidth_kbit))
        return seen

    def _devices(self, pop: PopId) -> dict[str, SideSeen]:
        said = json.loads(call(["ip", "-n", self.namespace(pop), "-j", "-s", "link", "show"]))
        rates_kbit = shape.rates_kbit(self._tc(self.namespace(pop)))
        return {entry["ifname"]: SideSeen(has_carrier(entry),
                                          entry["stats64"]["tx"]["bytes"],
                                          rates_kbit.get(entry["ifname"]))
                for entry in said}

    def _emulated_kbit(self) -> dict[tuple[str, int], float]:
        """What leaves ends 0 and 1 of the links that are emulated; what has ended says nothing."""
        with contextlib.suppress(PlaceError):
            return self.emulator.rates_kbit() if self.emulated else {}
        return {}
