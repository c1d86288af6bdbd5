"""What the orchestrator asks of wherever a network runs."""

from __future__ import annotations

import abc
import contextlib
import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Callable, Mapping, Optional, Sequence

from ..journal import Journal
from ..model import Link, Network, Pop, PopId

Shares = Mapping[int, float]  # kbit/s, by TCP port


class PlaceError(Exception):
    """One line: what could not be had, where, and why."""


class Running(abc.ABC):
    """A program at a PoP. It is ended by its pid, never by its name."""

    name: str
    pop: PopId

    @abc.abstractmethod
    def is_alive(self) -> bool:
        """It has not ended."""

    @abc.abstractmethod
    def log_lines(self, count: int) -> list[str]:
        """The last ones of what it wrote."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Ends it now, if it has not ended; returns when it has."""


class Channel(abc.ABC):
    """A connection to a TCP port at a PoP, for JSON lines: a module's comm socket."""

    reader: BinaryIO
    writer: BinaryIO

    def ask(self, **request: object) -> dict:
        self.writer.write(json.dumps(request).encode() + b"\n")
        self.writer.flush()
        line = self.reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the connection was closed before a reply came")
        return json.loads(line)

    @abc.abstractmethod
    def close(self) -> None:
        """No reply is awaited any more."""


def first_links(network: Network, start: PopId) -> dict[PopId, str]:
    """For each PoP that can be reached: the link that a way there over the fewest links begins with."""
    ways: dict[PopId, list[tuple[str, PopId]]] = {pop: [] for pop in network.pops}
    for name, link in network.links.items():
        ways[link.a].append((name, link.b))
        ways[link.b].append((name, link.a))
    first: dict[PopId, str] = {}
    to_visit = deque([start])
    while to_visit:
        here = to_visit.popleft()
        for name, pop in ways[here]:
            if pop != start and pop not in first:
                first[pop] = first.get(here, name)
                to_visit.append(pop)
    return first


def has_carrier(interface: dict) -> bool:
    """By what `ip -j` says of it. The state that it shows, too, may be a second old."""
    return "LOWER_UP" in interface["flags"]


@dataclass(frozen=True)
class SideSeen:
    """One end of a link."""

    is_up: bool
    sent_bytes: int  # Ethernet frames that the link has taken there
    bandwidth_kbit: Optional[float] = None  # where the kernel shapes them, or `link_emulator`


class Place(abc.ABC):
    """A network, from `setup` to `destroy`. `tag` begins the names of what is made."""

    def __init__(self, journal: Journal, bin_dir: Path, tag: str):
        self.journal, self.bin_dir, self.tag = journal, bin_dir, tag
        self.network: Network = Network([Pop(0)], [], [])
        self.cut: set[str] = set()  # names of links, by `set_link_up`
        self.shares_kbit: dict[tuple[str, PopId], dict[int, float]] = {}  # that are in force
        self.is_routed = False

    # ---- the network ----

    @abc.abstractmethod
    def setup(self, network: Network) -> None:
        """PoPs, links with their shapes and addresses. All of it, or PlaceError and nothing."""

    @abc.abstractmethod
    def destroy(self) -> None:
        """Ends and takes away all that it has made; also after half a setup."""

    def _forget_links(self) -> None:
        """For `destroy`: what was asked of them."""
        self.cut.clear()
        self.shares_kbit.clear()
        self.is_routed = False

    @abc.abstractmethod
    def address(self, link: str, pop: PopId) -> str:
        """Of this PoP on that link, without its prefix."""

    # ---- links ----

    def set_link(self, name: str, link: Link) -> None:
        """The link of this name has these figures from now on, or if that cannot be the old."""
        self._try_to(lambda: self._shape_link(name, link),
                     lambda: self._shape_link(name, self.network.links[name]))
        self.network.links[name] = link

    def set_shares(self, name: str, pop: PopId, shares_kbit: dict[int, float]) -> None:
        """What this PoP sends over the link is divided among TCP ports: each has so much for
        itself, or less in proportion where the link has less. {} ends that."""
        link, before = self.network.links[name], self.shares_kbit.get((name, pop), {})
        if shares_kbit == before:
            return
        self._try_to(lambda: self._shape_side(name, pop, link, shares_kbit),
                     lambda: self._shape_side(name, pop, link, before))
        self.shares_kbit[name, pop] = shares_kbit

    def set_link_up(self, name: str, is_up: bool) -> None:
        """Cuts a link, or joins it again."""
        link = self.network.links[name]
        for pop in (link.a, link.b):
            self._set_side_up(name, pop, is_up)
        (self.cut.discard if is_up else self.cut.add)(name)
        if is_up and self.is_routed:  # the kernel forgot the routes of an interface that went down
            for pop in (link.a, link.b):
                self._route_from(pop)

    @staticmethod
    def _try_to(work: Callable[[], None], undo: Callable[[], None]) -> None:
        try:
            work()
        except PlaceError:
            with contextlib.suppress(PlaceError):  # the first says why
                undo()
            raise

    def _shape_link(self, name: str, link: Link) -> None:
        for pop in (link.a, link.b):
            self._shape_side(name, pop, link, self.shares_kbit.get((name, pop), {}))

    @abc.abstractmethod
    def _shape_side(self, name: str, pop: PopId, link: Link, shares_kbit: Shares) -> None:
        """What this PoP sends over the link has the link's figures, and is divided so."""

    @abc.abstractmethod
    def _set_side_up(self, name: str, pop: PopId, is_up: bool) -> None:
        """The PoP's interface to the link."""

    # ---- routes ----

    def route(self) -> int:
        """Lets every PoP reach the addresses of all others over the fewest links, whatever a link's
        direction is for applications; how many routes there are then. A cut link is not gone
        around."""
        self.is_routed = True
        self._let_forward()
        return sum(self._route_from(pop) for pop in self.network.pops)

    def _route_from(self, pop: PopId) -> int:
        """To all but its neighbours on the same link, and not over links that are cut."""
        first = {to: name for to, name in first_links(self.network, pop).items()
                 if name not in self.cut}
        ends = [(name, link, end) for name, link in self.network.links.items()
                for end in (link.a, link.b)]
        near = {self.address(name, end) for name, link, end in ends if pop in (link.a, link.b)}
        far = {self.address(name, end): first[end] for name, _, end in ends if end in first}
        return self._add_routes(pop, {address: link for address, link in far.items()
                                      if address not in near})

    @abc.abstractmethod
    def _let_forward(self) -> None:
        """Every PoP passes on what is not for it."""

    @abc.abstractmethod
    def _add_routes(self, pop: PopId, links: Mapping[str, str]) -> int:
        """From this PoP, by address, over that link of its own; how many of these there are now."""

    # ---- programs ----

    @abc.abstractmethod
    def start(self, pop: PopId, name: str, argv: Sequence[str]) -> Running:
        """A program from our bin folder, with its output in a log of that name."""

    @abc.abstractmethod
    def run(self, pop: PopId, argv: Sequence[str], limit_s: float = 30) -> str:
        """A command there, to its end; its output, or PlaceError with its last line."""

    @abc.abstractmethod
    def connect(self, pop: PopId, port: int, limit_s: float) -> Channel:
        """To a port of 127.0.0.1 there. ConnectionError when nobody listens."""

    # ---- looking ----

    @abc.abstractmethod
    def look(self) -> dict[tuple[str, PopId], SideSeen]:
        """How each link is at each of its PoPs, soon: a PoP that does not answer has sides that are
        down. Sides of which nothing can be said are missing."""
