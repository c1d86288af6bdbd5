"""PoPs as real hosts, reached as `Pop.host` by the `ssh` program; links as what is between them.

A link that names an interface (`a_interface`, `b_interface`) is shaped there, which needs root on that
host; any other stays as it is, and its figures are what its user says of it. Nothing is chosen for real
hosts: a link's addresses are given, or its PoPs'.

Our programs go to ~/.cache/mpp/TAG of each host, and stay for the next time. All else is taken away in
the end, or by the next start: what each host has to undo is listed there, how to tell it so is in the
journal."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import tempfile
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Callable, Mapping, Optional, Sequence

from ..journal import Journal
from ..model import Link, Network, Pop, PopId
from . import shape
from .base import DOWN, Place, PlaceError, Running, SideSeen, first_links
from .remote import Remote, RemoteChannel

PROGRAMS = ("mpp_adv_ingress", "mpp_dataplane_proxy", "mpp_adv_egress", "mpp_controller")
HOSTS_AT_ONCE = 32
FOLDER_CHARS_MAX = 80  # of 107 for a socket's path: /ssh and a number, and 17 that ssh adds at first
START_LIMIT_S = 15


class RemoteProcess(Running):
    """`identity` is its pid and its start time there."""

    def __init__(self, name: str, pop: PopId, remote: Remote, identity: Sequence[str]):
        self.name, self.pop, self.remote, self.identity = name, pop, remote, identity
        self.has_ended = False

    def is_alive(self) -> bool:
        """As far as is known: a host that does not answer says nothing of it."""
        if not self.has_ended:
            with contextlib.suppress(PlaceError):
                self.has_ended = not self.remote.ask("alive", *self.identity)
        return not self.has_ended

    def log_lines(self, count: int) -> list[str]:
        return self.remote.ask("log", self.name, count).splitlines()

    def stop(self) -> None:
        """On a host that does not answer, `destroy` complains of it and the next start ends it."""
        if not self.has_ended:
            with contextlib.suppress(PlaceError):
                self.remote.ask("stop", *self.identity)
                self.has_ended = True


class SshPlace(Place):
    """`tag` names our folder on the hosts; `options` are further ones for ssh, as ["-p", "2222"]."""

    def __init__(self, journal: Journal, bin_dir: Path, tag: str, options: Sequence[str] = ()):
        self.journal, self.bin_dir, self.tag, self.options = journal, bin_dir, tag, list(options)
        self.network: Network = Network([Pop(0)], [], [])
        self.remotes: dict[PopId, Remote] = {}
        self.addresses: dict[tuple[str, PopId], str] = {}
        self.devices: dict[tuple[str, PopId], str] = {}  # where links name one
        self.cut: set[str] = set()  # names of links
        self.shares_kbit: dict[tuple[str, PopId], dict[int, float]] = {}
        self.is_routed = False

    # ---- hosts ----

    def setup(self, network: Network) -> None:
        self.network = network
        self.addresses, self.devices = _addresses(network), _devices(network)
        _check_hosts(network)
        programs = self._programs()
        try:
            self.remotes = self._make_remotes()
            _refuse(self._on_all(lambda pop: self._prepare(pop, programs)))
            _refuse(self._on_all(self._shape_all))
        except BaseException:
            with contextlib.suppress(PlaceError):
                self.destroy()
            raise

    def _programs(self) -> dict[str, str]:
        """Their sums."""
        paths = [self.bin_dir / name for name in PROGRAMS]
        sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in paths if path.is_file()}
        if not sums:
            raise PlaceError(f"{self.bin_dir}: our programs are not there; `make` builds them")
        return sums

    def _make_remotes(self) -> dict[PopId, Remote]:
        folder = self.journal.folder.absolute()
        if len(str(folder)) > FOLDER_CHARS_MAX:
            folder = Path(tempfile.gettempdir(), f"mpp-{uuid.uuid4().hex}")
            self.journal.add_undo(f"folder {folder}", ["rm", "-rf", str(folder)])
            folder.mkdir(mode=0o700)
        return {pop.id: Remote(pop.host, folder / f"ssh{number}", self.tag, self.options)
                for number, pop in enumerate(self.network.pops.values())}

    def _on_all(self, work: Callable[[PopId], object]) -> list[str]:
        """On all hosts at the same time; what they complain of."""
        complaints: list[str] = []

        def try_to(pop: PopId) -> None:
            try:
                work(pop)
            except PlaceError as error:
                complaints.append(str(error))

        with ThreadPoolExecutor(HOSTS_AT_ONCE) as pool:
            list(pool.map(try_to, self.network.pops))
        return sorted(complaints)

    def _prepare(self, pop: PopId, programs: dict[str, str]) -> None:
        """Nothing is made, or to be undone, where nobody answers."""
        remote = self.remotes[pop]
        there = remote.ask("sums", *programs).split()  # sum, name, sum, name...
        if (master := remote.master_pid()) is not None:
            self.journal.add_process(master)
        self.journal.add_undo(str(remote), remote.undo_command())
        remote.ask("begin")
        for name, wanted in programs.items():
            if (wanted, name) not in zip(there[::2], there[1::2]):
                remote.ask("take", name, data=(self.bin_dir / name).read_bytes())

    def destroy(self) -> None:
        """PlaceError: a host did not answer. The rest is taken away; that, by the next start."""
        complaints = self.journal.clear()
        for remote in self.remotes.values():
            remote.close()
        self.remotes.clear()
        self.cut.clear()
        self.shares_kbit.clear()
        self.is_routed = False
        if complaints:
            raise PlaceError(f"left for the next start: {'; '.join(complaints)}")

    # ---- links ----

    def address(self, link: str, pop: PopId) -> str:
        return self.addresses[link, pop]

    def _named(self, link: str) -> list[tuple[PopId, str]]:
        return [(pop, device) for (name, pop), device in self.devices.items() if name == link]

    def _shape_all(self, pop: PopId) -> None:
        for (name, at), device in self.devices.items():
            if at == pop:
                self.remotes[pop].ask("claim", device)
                self._shape(pop, device, self.network.links[name])

    def _shape(self, pop: PopId, device: str, link: Link,
               shares_kbit: Mapping[int, float] = MappingProxyType({})) -> None:
        shape.shape(self._tc(pop), device, link, shares_kbit)

    def _tc(self, pop: PopId) -> shape.Tc:
        return lambda *words: self.run(pop, ["tc", *words])

    def set_shares(self, name: str, pop: PopId, shares_kbit: dict[int, float]) -> None:
        if shares_kbit == self.shares_kbit.get((name, pop), {}):
            return
        device = self.devices.get((name, pop))
        if device is None:
            raise PlaceError(f"{self.network.links[name]}: it names no interface at PoP {pop} whose rate "
                             "could be divided among applications")
        self.shares_kbit[name, pop] = shares_kbit
        self._shape(pop, device, self.network.links[name], shares_kbit)

    def set_link(self, name: str, link: Link) -> None:
        """A shape that cannot be had leaves the old one."""
        try:
            for pop, device in self._named(name):
                self._shape(pop, device, link, self.shares_kbit.get((name, pop), {}))
        except PlaceError:
            with contextlib.suppress(PlaceError):
                for pop, device in self._named(name):
                    self._shape(pop, device, self.network.links[name],
                                self.shares_kbit.get((name, pop), {}))
            raise
        self.network.links[name] = link

    def set_link_up(self, name: str, is_up: bool) -> None:
        named = self._named(name)
        if not named:
            raise PlaceError(f"{self.network.links[name]}: it names no interface, and what else uses "
                             "that of its address is not ours to cut")
        for pop, device in named:
            self.remotes[pop].ask("join" if is_up else "cut_off", device)
        (self.cut.discard if is_up else self.cut.add)(name)
        if is_up and self.is_routed:  # the kernel forgot the routes of an interface that went down
            for pop in (self.network.links[name].a, self.network.links[name].b):
                self._route_from(pop)

    # ---- looking ----

    def look(self) -> dict[tuple[str, PopId], SideSeen]:
        """Sides are missing of hosts that do not answer, and where several links use one interface:
        it says nothing of each."""
        seen: dict[tuple[str, PopId], SideSeen] = {}
        self._on_all(lambda pop: seen.update(self._look_at(pop)))
        return seen

    def _look_at(self, pop: PopId) -> dict[tuple[str, PopId], SideSeen]:
        interfaces = self._interfaces(pop)
        users = Counter(interface["ifname"] for interface in interfaces.values())
        rates_kbit = shape.rates_kbit(self._tc(pop))
        return {(name, pop): SideSeen(interface["operstate"] not in DOWN,
                                      interface["stats64"]["tx"]["bytes"],
                                      rates_kbit.get(interface["ifname"]))
                for name, interface in interfaces.items() if users[interface["ifname"]] == 1}

    def _interfaces(self, pop: PopId) -> dict[str, dict]:
        """Of each link of this PoP: the one that it names, or that has its address, if one does."""
        said = json.loads(self.run(pop, ["ip", "-j", "-s", "address", "show"]))
        by = {entry["ifname"]: entry for entry in said}
        by.update({address["local"]: entry for entry in said for address in entry["addr_info"]
                   if "local" in address})
        found = {name: by.get(self.devices.get((name, at), address))
                 for (name, at), address in self.addresses.items() if at == pop}
        return {name: interface for name, interface in found.items() if interface is not None}

    # ---- routes ----

    def route(self) -> int:
        """Where a host has another route already, that stays."""
        self.is_routed = True
        _refuse(self._on_all(lambda pop: self.remotes[pop].ask("forward")))
        return sum(self._route_from(pop) for pop in self.network.pops)

    def _route_from(self, pop: PopId) -> int:
        """To all but its neighbours on the same link, and not over links that are cut."""
        first = {to: name for to, name in first_links(self.network, pop).items()
                 if name not in self.cut}
        near = {address for (name, _), address in self.addresses.items() if (name, pop) in self.addresses}
        ways = {address: self._peer_address(first[to], pop)
                for (_, to), address in self.addresses.items() if to in first and address not in near}
        return len(self.remotes[pop].ask("route", *(word for way in ways.items() for word in way),
                                         what="routes").splitlines())

    def _peer_address(self, link: str, pop: PopId) -> str:
        return next(address for (name, other), address in self.addresses.items()
                    if name == link and other != pop)

    # ---- programs ----

    def start(self, pop: PopId, name: str, argv: Sequence[str]) -> RemoteProcess:
        remote = self.remotes[pop]
        identity = remote.ask("start", name, *argv, what=f"start {name}", limit_s=START_LIMIT_S).split()
        if not identity:
            raise PlaceError(f"{remote}: {name} could not be started; is setsid there?")
        return RemoteProcess(name, pop, remote, identity)

    def run(self, pop: PopId, argv: Sequence[str], limit_s: float = 30) -> str:
        return self.remotes[pop].ask("execute", f"{limit_s:g}", *argv, what=" ".join(argv),
                                     limit_s=limit_s + START_LIMIT_S)

    def connect(self, pop: PopId, port: int, limit_s: float) -> RemoteChannel:
        return RemoteChannel(self.remotes[pop], port, limit_s)


def _refuse(complaints: Sequence[str]) -> None:
    if complaints:
        raise PlaceError("; ".join(complaints))


def _check_hosts(network: Network) -> None:
    """Each PoP has one of its own."""
    owners: dict[Optional[str], Pop] = {}
    for pop in network.pops.values():
        if pop.host is None:
            raise PlaceError(f"{pop}: host: not given; ssh needs one, as user@name")
        if pop.host in owners:
            raise PlaceError(f"{pop}: host: {pop.host} is that of {owners[pop.host]} already")
        owners[pop.host] = pop


def _addresses(network: Network) -> dict[tuple[str, PopId], str]:
    """By the link's name and the PoP."""
    found = {}
    for name, link in network.links.items():
        for end in "ab":
            pop = network.pops[getattr(link, end)]
            address = getattr(link, f"{end}_address") or pop.address
            if address is None:
                raise PlaceError(f"{link}: {end}_address: not given, nor is the address of {pop}")
            found[name, pop.id] = str(ipaddress.ip_interface(address).ip)
    return found


def _devices(network: Network) -> dict[tuple[str, PopId], str]:
    return {(name, getattr(link, end)): device for name, link in network.links.items()
            for end in "ab" if (device := getattr(link, f"{end}_interface"))}
