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
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

from ..journal import Journal
from ..model import Link, Network, Pop, PopId
from . import shape
from .base import Place, PlaceError, Running, Shares, SideSeen, has_carrier
from .remote import Remote, RemoteChannel

PROGRAMS = ("mpp_adv_ingress", "mpp_dataplane_proxy", "mpp_adv_egress", "mpp_controller")
HOSTS_AT_ONCE = 32
FOLDER_CHARS_MAX = 80  # of 107 for a socket's path: /ssh and a number, and 17 that ssh adds at first
START_LIMIT_S = 15
LOOK_LIMIT_S = 1.2  # for what is asked of a host several times a second


class RemoteProcess(Running):
    """`identity` is its pid and its start time there."""

    def __init__(self, name: str, pop: PopId, remote: Remote, identity: Sequence[str]):
        self.name, self.pop, self.remote, self.identity = name, pop, remote, identity
        self.has_ended = False

    def is_alive(self) -> bool:
        """As far as is known: a host that does not answer says nothing of it."""
        if not self.has_ended:
            with contextlib.suppress(PlaceError):
                self.remote.check_answering()
                self.has_ended = not self.remote.ask("alive", *self.identity, limit_s=LOOK_LIMIT_S)
        return not self.has_ended

    def log_lines(self, count: int) -> list[str]:
        return self.remote.ask("log", self.name, count).splitlines()

    def stop(self) -> None:
        """Its log goes with it. A host that does not answer is not waited for: it is told when it
        does again, or by the next start."""
        if self.has_ended:
            return
        words = (self.name, *self.identity)
        try:
            self.remote.check_answering()
            self.remote.ask("stop", *words)
            self.has_ended = True
        except PlaceError:
            if not self.remote.answers:
                self.remote.to_stop.append(words)


class SshPlace(Place):
    """`tag` names our folder on the hosts; `options` are further ones for ssh, as ["-p", "2222"]."""

    def __init__(self, journal: Journal, bin_dir: Path, tag: str, options: Sequence[str] = ()):
        super().__init__(journal, bin_dir, tag)
        self.options = list(options)
        self.remotes: dict[PopId, Remote] = {}
        self.addresses: dict[tuple[str, PopId], str] = {}
        self.devices: dict[tuple[str, PopId], str] = {}  # where links name one
        self.lookers = ThreadPoolExecutor(HOSTS_AT_ONCE)
        self.looks: dict[PopId, Future] = {}  # that have not been answered yet
        self.seen: dict[tuple[str, PopId], SideSeen] = {}  # the last time that they were

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
        wait(self.looks.values())  # or they would connect again
        complaints = self.journal.clear()
        for remote in self.remotes.values():
            remote.close()
        for of_hosts in (self.remotes, self.looks, self.seen):
            of_hosts.clear()
        self._forget_links()
        if complaints:
            raise PlaceError(f"left for the next start: {'; '.join(complaints)}")

    # ---- links ----

    def address(self, link: str, pop: PopId) -> str:
        return self.addresses[link, pop]

    def _shape_all(self, pop: PopId) -> None:
        for (name, at), device in self.devices.items():
            if at == pop:
                self.remotes[pop].ask("claim", device)
                self._shape_side(name, pop, self.network.links[name], {})

    def _shape_side(self, name: str, pop: PopId, link: Link, shares_kbit: Shares) -> None:
        device = self.devices.get((name, pop))
        if device is not None:
            shape.shape(self._tc(pop), device, link, shares_kbit)
        elif shares_kbit:
            raise PlaceError(f"{link}: it names no interface at PoP {pop} whose rate could be "
                             "divided among applications")

    def _tc(self, pop: PopId) -> shape.Tc:
        return lambda *words: self.run(pop, ["tc", *words])

    def set_link_up(self, name: str, is_up: bool) -> None:
        link = self.network.links[name]
        if not {(name, link.a), (name, link.b)} & set(self.devices):
            raise PlaceError(f"{link}: it names no interface, and what else uses that of its "
                             "address is not ours to cut")
        super().set_link_up(name, is_up)

    def _set_side_up(self, name: str, pop: PopId, is_up: bool) -> None:
        device = self.devices.get((name, pop))
        if device is not None:
            self.remotes[pop].ask("join" if is_up else "cut_off", device)

    # ---- looking ----

    def look(self) -> dict[tuple[str, PopId], SideSeen]:
        """Sides are missing where several links use one interface: it says nothing of each. A host
        that does not answer is waited for once; its answer counts when it is there."""
        new = {pop: self.lookers.submit(self._look_at, pop)
               for pop in self.network.pops if pop not in self.looks}
        self.looks.update(new)
        wait(new.values(), LOOK_LIMIT_S)
        self.seen = {side: seen for pop in self.network.pops
                     for side, seen in self._seen_at(pop).items()}
        return self.seen

    def _seen_at(self, pop: PopId) -> dict[tuple[str, PopId], SideSeen]:
        remote, look = self.remotes[pop], self.looks[pop]
        remote.is_silent = not look.done()
        if not remote.is_silent:
            del self.looks[pop]
            with contextlib.suppress(PlaceError):
                return look.result()
        if remote.answers:
            return {}  # it is there, without what it takes to look
        return {side: SideSeen(False, self.seen[side].sent_bytes if side in self.seen else 0)
                for side in self.addresses if side[1] == pop}

    def _look_at(self, pop: PopId) -> dict[tuple[str, PopId], SideSeen]:
        interfaces = self._interfaces(pop)
        self.remotes[pop].stop_what_is_left()
        users = Counter(interface["ifname"] for interface in interfaces.values())
        rates_kbit = shape.rates_kbit(self._tc(pop))
        return {(name, pop): SideSeen(has_carrier(interface),
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

    # ---- routes: where a host has another already, that stays ----

    def _let_forward(self) -> None:
        _refuse(self._on_all(lambda pop: self.remotes[pop].ask("forward")))

    def _add_routes(self, pop: PopId, links: Mapping[str, str]) -> int:
        words = [word for address, link in links.items()
                 for word in (address, self._peer_address(link, pop))]
        return len(self.remotes[pop].ask("route", *words, what="routes").splitlines())

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
