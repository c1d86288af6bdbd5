"""What the orchestrator asks of wherever a network runs."""

from __future__ import annotations

import abc
import json
from dataclasses import dataclass
from collections import deque
from pathlib import Path
from typing import BinaryIO, Optional, Sequence

from ..model import Link, Network, PopId


DOWN = ("DOWN", "LOWERLAYERDOWN", "NOTPRESENT")  # what the kernel calls interfaces that carry nothing


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


@dataclass(frozen=True)
class SideSeen:
    """One end of a link."""

    is_up: bool
    sent_bytes: int  # Ethernet frames that the link has taken there
    bandwidth_kbit: Optional[float] = None  # where the kernel shapes them


class Place(abc.ABC):
    """A network, from `setup` to `destroy`."""

    network: Network

    @abc.abstractmethod
    def setup(self, network: Network) -> None:
        """PoPs, links with their shapes and addresses. All of it, or PlaceError and nothing."""

    @abc.abstractmethod
    def destroy(self) -> None:
        """Ends and takes away all that it has made; also after half a setup."""

    @abc.abstractmethod
    def set_link(self, name: str, link: Link) -> None:
        """The link of this name has these figures from now on."""

    @abc.abstractmethod
    def set_link_up(self, name: str, is_up: bool) -> None:
        """Cuts a link, or joins it again."""

    @abc.abstractmethod
    def set_shares(self, name: str, pop: PopId, shares_kbit: dict[int, float]) -> None:
        """What this PoP sends over the link is divided among TCP ports: each has so much for itself. {}
        ends that."""

    @abc.abstractmethod
    def route(self) -> int:
        """Lets every PoP reach the addresses of all others over the fewest links, whatever a link's
        direction is for applications; how many routes that took. A cut link is not gone around."""

    @abc.abstractmethod
    def address(self, link: str, pop: PopId) -> str:
        """Of this PoP on that link, without its prefix."""

    @abc.abstractmethod
    def start(self, pop: PopId, name: str, argv: Sequence[str]) -> Running:
        """A program from our bin folder, with its output in a log of that name."""

    @abc.abstractmethod
    def run(self, pop: PopId, argv: Sequence[str], limit_s: float = 30) -> str:
        """A command there, to its end; its output, or PlaceError with its last line."""

    @abc.abstractmethod
    def connect(self, pop: PopId, port: int, limit_s: float) -> Channel:
        """To a port of 127.0.0.1 there. ConnectionError when nobody listens."""

    @abc.abstractmethod
    def look(self) -> dict[tuple[str, PopId], SideSeen]:
        """How each link is at each of its PoPs; sides that cannot be seen are missing."""

    def log_path(self, name: str) -> Optional[Path]:  # pylint: disable=unused-argument
        """Where that log is on this machine, if it is here."""
        return None
