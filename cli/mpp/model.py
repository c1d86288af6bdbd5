"""What a configuration describes: PoPs, links between them, and the applications that use them.

Users write these objects; `load.py` reads their file. Each object checks itself when it is made, and
`Network` checks how they fit together. Rates are in Mbit/s, delays one way in ms, losses in percent;
a rate may have decimals and is exact to a kbit/s."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from typing import Any, Mapping, Optional, Sequence, Union

KBIT_PER_MBIT = 1000
PORT_MAX = 65535
RATE_MBIT_MAX = 1_000_000  # the modules' largest ratio: a Tbit/s
DELAY_MS_MAX = 10_000
INTERFACE_CHARS_MAX = 15  # IFNAMSIZ with its final 0
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$")
SERVER = re.compile(r"^\S+:[0-9]{1,5}$")
SCHEDULERS = ("adaptive", "weighted", "ecf", "blest", "minrtt", "redundant", "backup")

PopId = Union[int, str]


class ModelError(Exception):
    """A description that cannot be: of this object, that field."""

    def __init__(self, what: object, field_name: str, why: str):
        super().__init__(f"{what}: {field_name}: {why}")


def _check(is_good: bool, what: object, field_name: str, why: str) -> None:
    if not is_good:
        raise ModelError(what, field_name, why)


def _check_number(what: object, name: str, low: float, high: float, unit: str,
                  is_low_allowed: bool = True) -> None:
    value = getattr(what, name)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_inside = is_number and math.isfinite(value) and (
        low <= value <= high if is_low_allowed else low < value <= high)
    _check(is_inside, what, name,
           f"{value!r}, expected {'' if is_low_allowed else 'more than '}{low:g} to {high:g} {unit}")


def _check_address(what: object, name: str) -> None:
    value = getattr(what, name)
    if value is None:
        return
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        _check(False, what, name, f"{value!r}, expected an address with its prefix, as 10.0.3.1/24")


def _check_interface(what: object, name: str) -> None:
    value = getattr(what, name)
    _check(value is None or (isinstance(value, str) and 0 < len(value) <= INTERFACE_CHARS_MAX
                             and not re.search(r"[\s/]", value)),
           what, name, f"{value!r}, expected the name of an interface, 1 to "
                       f"{INTERFACE_CHARS_MAX} characters without spaces and slashes")


def _check_port(what: object, name: str) -> None:
    value = getattr(what, name)
    _check(isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= PORT_MAX,
           what, name, f"{value!r}, expected a port, 1 to {PORT_MAX}")


@dataclass(frozen=True)
class Pop:
    """A point of presence: a machine, or a namespace that stands for one.

    `host` is where it is for `--on ssh`, as ssh takes it (user@name); the other places need none.
    `address` is what other PoPs reach it by when it has a link of its own to none of them."""

    id: PopId
    host: Optional[str] = None
    address: Optional[str] = None

    def __post_init__(self) -> None:
        is_number = isinstance(self.id, int) and not isinstance(self.id, bool) and self.id >= 0
        _check(is_number or (isinstance(self.id, str) and bool(NAME.match(self.id))), "Pop", "id",
               f"{self.id!r}, expected a number or a name of letters, digits, '_', '.' and '-'")
        _check(self.host is None or (isinstance(self.host, str) and bool(self.host.strip())
                                     and not self.host.startswith("-")),
               self, "host", f"{self.host!r}, expected a host as ssh takes it")
        _check_address(self, "address")

    def __str__(self) -> str:
        return f"PoP {self.id}"


@dataclass(frozen=True)
class Link:
    """Between PoPs `a` and `b`, in both directions with the same figures. Over one that `is_one_way`
    applications are planned from `a` to `b` only; what comes back carries acknowledgements.

    Interfaces and addresses are chosen when they are not given."""

    a: PopId
    b: PopId
    bandwidth_mbit: float
    delay_ms: float = 0
    loss_percent: float = 0
    is_one_way: bool = False
    a_interface: Optional[str] = None
    b_interface: Optional[str] = None
    a_address: Optional[str] = None
    b_address: Optional[str] = None

    def __post_init__(self) -> None:
        _check_number(self, "bandwidth_mbit", 1 / KBIT_PER_MBIT, RATE_MBIT_MAX, "Mbit/s")
        _check_number(self, "delay_ms", 0, DELAY_MS_MAX, "ms")
        _check_number(self, "loss_percent", 0, 100, "percent")
        _check(isinstance(self.is_one_way, bool), self, "is_one_way",
               f"{self.is_one_way!r}, expected True or False")
        _check(self.a != self.b, self, "b", "the same PoP as a")
        for name in ("a_interface", "b_interface"):
            _check_interface(self, name)
        for name in ("a_address", "b_address"):
            _check_address(self, name)

    def __str__(self) -> str:
        return f"Link {self.a}{'->' if self.is_one_way else '-'}{self.b}"

    @property
    def name(self) -> str:
        """As commands name it: 0-3, or 0->3 when it goes one way."""
        return str(self).removeprefix("Link ")

    @property
    def directions(self) -> list[tuple[PopId, PopId]]:
        """(from, to) of those that applications may use."""
        forward = (self.a, self.b)
        return [forward] if self.is_one_way else [forward, (self.b, self.a)]


@dataclass(frozen=True)
class Scheduler:
    """How the ends of an application choose among its paths: docs/schedulers.md."""

    name: str = "adaptive"

    def __post_init__(self) -> None:
        _check(self.name in SCHEDULERS, "Scheduler", "name",
               f"{self.name!r}, expected one of {', '.join(SCHEDULERS)}")


@dataclass(frozen=True)
class App:
    """TCP streams from clients at PoP `source` to a server at PoP `target`.

    Clients connect to `listen_port` at `source`; the server is at `server_port` of `target`, or at
    `server` (HOST:PORT). It gets at least `rate_mbit_min`, or the plan fails, and not more than
    `rate_mbit_max`. `has_own_rate`: links that it shares with others keep its computed rate for it.
    `is_committed`: `commit` without names takes it."""

    name: str
    source: PopId
    target: PopId
    listen_port: int
    server_port: int
    server: Optional[str] = None
    rate_mbit_min: float = 0
    rate_mbit_max: Optional[float] = None
    scheduler: Scheduler = field(default_factory=Scheduler)
    has_own_rate: bool = False
    is_committed: bool = True

    def __post_init__(self) -> None:
        _check(isinstance(self.name, str) and bool(NAME.match(self.name)), "App", "name",
               f"{self.name!r}, expected letters, digits, '_', '.' and '-', at most 31")
        _check(self.source != self.target, self, "target", "the same PoP as source")
        _check_port(self, "listen_port")
        _check_port(self, "server_port")
        _check(self.server is None or (isinstance(self.server, str) and bool(SERVER.match(self.server))),
               self, "server", f"{self.server!r}, expected HOST:PORT")
        _check_number(self, "rate_mbit_min", 0, RATE_MBIT_MAX, "Mbit/s")
        if self.rate_mbit_max is not None:
            _check_number(self, "rate_mbit_max", 0, RATE_MBIT_MAX, "Mbit/s", is_low_allowed=False)
            _check(self.rate_mbit_min <= self.rate_mbit_max, self, "rate_mbit_min",
                   f"{self.rate_mbit_min:g}, more than rate_mbit_max ({self.rate_mbit_max:g})")
        _check(isinstance(self.scheduler, Scheduler), self, "scheduler",
               f"{self.scheduler!r}, expected a Scheduler")

    def __str__(self) -> str:
        return f"App {self.name}"


def _no_duplicates(values: list[tuple[Any, object]], field_name: str) -> None:
    """Of (value, who has it)."""
    seen: dict[Any, object] = {}
    for value, owner in values:
        if value in seen:
            raise ModelError(owner, field_name, f"{value} is that of {seen[value]} already")
        seen[value] = owner


@dataclass(frozen=True)
class Arc:
    """One direction of a link."""

    tail: PopId
    head: PopId
    link: str  # its name
    rate_kbit: float = field(compare=False)  # it stays the same arc when that changes

    def __str__(self) -> str:
        return f"{self.tail}->{self.head}"


class Network:
    """PoPs, links and applications that fit together; each by its id or name. Links are named by
    their ends, `0-3` or `0->3`, further ones between the same PoPs `0-3.2` and so on."""

    def __init__(self, pops: Sequence[Pop], links: Sequence[Link], apps: Sequence[App]):
        _check(len(pops) > 0, "pops", "list", "there is none")
        for pop, times in Counter(str(pop.id) for pop in pops).items():
            _check(times == 1, f"PoP {pop}", "id", f"{times} PoPs have it")
        self.pops = {pop.id: pop for pop in pops}
        for link in links:
            self._check_pops(link, "a", "b")
        for app in apps:
            self._check_pops(app, "source", "target")
        _no_duplicates([(app.name, "apps") for app in apps], "name")
        _no_duplicates([((app.source, app.listen_port), app) for app in apps], "listen_port")
        _check_links_differ(links)
        _check_addresses_of_pops(pops, links)
        self.links: dict[str, Link] = {}
        for link in links:
            self.links[self._free_name(link)] = link
        self.apps = {app.name: app for app in apps}

    def arcs(self, less_kbit: Mapping[tuple[str, PopId], float] = MappingProxyType({})
             ) -> list[Arc]:
        """The directions that links have, each with the whole bandwidth, less what is said for its
        (link, tail). A direction of which nothing is left is none."""
        arcs = []
        for name, link in self.links.items():
            for tail, head in link.directions:
                rate_kbit = link.bandwidth_mbit * KBIT_PER_MBIT - less_kbit.get((name, tail), 0)
                if rate_kbit > 0:
                    arcs.append(Arc(tail, head, name, rate_kbit))
        return arcs

    def _check_pops(self, owner: object, *names: str) -> None:
        for name in names:
            wanted = getattr(owner, name)
            _check(isinstance(wanted, (int, str)) and wanted in self.pops, owner, name,
                   f"no PoP {wanted!r}; there are {', '.join(map(str, self.pops))}")

    def _free_name(self, link: Link) -> str:
        if link.name not in self.links:
            return link.name
        return next(name for i in count(2) if (name := f"{link.name}.{i}") not in self.links)


def _check_links_differ(links: Sequence[Link]) -> None:
    _no_duplicates([(_ip(address), f"{link}, {end}_address")
                    for link, end in _ends(links) if (address := getattr(link, f"{end}_address"))],
                   "address")
    _no_duplicates([((getattr(link, end), device), f"{link}, {end}_interface")
                    for link, end in _ends(links) if (device := getattr(link, f"{end}_interface"))],
                   "interface")


def _check_addresses_of_pops(pops: Sequence[Pop], links: Sequence[Link]) -> None:
    """Each is its PoP's alone, which may have it on a link."""
    with_one = [pop for pop in pops if pop.address]
    _no_duplicates([(_ip(pop.address), pop) for pop in with_one], "address")
    on_links = {_ip(address): (getattr(link, end), f"{link}, {end}_address")
                for link, end in _ends(links) if (address := getattr(link, f"{end}_address"))}
    for pop in with_one:
        owner, where = on_links.get(_ip(pop.address), (pop.id, ""))
        _check(owner == pop.id, pop, "address", f"{_ip(pop.address)} is that of {where} already")


def _ends(links: Sequence[Link]) -> list[tuple[Link, str]]:
    return [(link, end) for link in links for end in "ab"]


def _ip(address: str) -> Union[ipaddress.IPv4Address, ipaddress.IPv6Address]:
    return ipaddress.ip_interface(address).ip
