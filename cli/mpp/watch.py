"""Looks at the network and its modules: what links carry, which do not, and how much of it is ours."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Iterable

from .autopilot import Look, Side
from .deployment import Deployment, Hop
from .history import Counters
from .model import Arc, Network
from .place.base import Place, PlaceError

WIRE_PART = 1.06  # Ethernet bytes for one of payload, with our frames' heads and some sent again
ACK_PART = 0.03  # and of those against it
PING_LIMIT_S = 0.4


class Watch:
    """Of what it saw before it keeps what rates need."""

    def __init__(self, place: Place):
        self.place = place
        self.before: tuple[float, dict[Side, int], dict[Side, float]] = (0.0, {}, {})

    def look(self, network: Network, running: Iterable[Deployment], bad_links: set[str]
             ) -> tuple[Look, Counters]:
        running = list(running)
        hops = {deployment.app.name: deployment.hops() for deployment in running}
        sides = self.place.look()
        carried = {side: seen.sent_bytes for side, seen in sides.items()}
        down = {name for (name, _), seen in sides.items() if not seen.is_up}
        stuck = {arc.link for deployment in running
                 for arc in stuck_arcs(deployment, hops[deployment.app.name])}
        to_ping = sorted(bad_links - down)
        with ThreadPoolExecutor(max(len(to_ping), 1)) as pool:
            answers = pool.map(lambda name: self._pings(network, name), to_ping)
        stuck |= {name for name, is_good in zip(to_ping, answers) if not is_good}
        look = Look(down, stuck, self._others_kbit(carried, hops.values()),
                    {side: seen.bandwidth_kbit for side, seen in sides.items()
                     if seen.bandwidth_kbit is not None})
        return look, self._counters(carried, running, hops)

    def _counters(self, carried: dict[Side, int], running: list[Deployment],
                  hops: dict[str, dict[Arc, Hop]]) -> Counters:
        counters = Counters(time.time(), links=carried)
        for deployment in running:
            name = deployment.app.name
            said = deployment.stats().get("bytes", {})
            counters.apps[name] = said.get("from_edge_total", 0) + said.get("to_edge_total", 0)
            for arc, hop in hops[name].items():
                if arc.tail == deployment.app.source:
                    counters.paths[name, label(arc)] = hop.sent_bytes + hop.received_bytes
        return counters

    def _others_kbit(self, carried: dict[Side, int], hops: Iterable[dict[Arc, Hop]]
                     ) -> dict[Side, float]:
        """What links have carried since the look before that was not of our modules."""
        ours: dict[Side, float] = dict.fromkeys(carried, 0.0)
        for of_app in hops:
            for arc, hop in of_app.items():
                for pop, along, against in ((arc.tail, hop.sent_bytes, hop.received_bytes),
                                            (arc.head, hop.received_bytes, hop.sent_bytes)):
                    if (arc.link, pop) in ours:
                        ours[arc.link, pop] += WIRE_PART * along + ACK_PART * against
        now = time.monotonic()
        at, carried_before, ours_before = self.before
        self.before = now, carried, ours
        return {side: max(carried[side] - carried_before[side] - ours[side] + ours_before[side], 0)
                * 8e-3 / (now - at)
                for side in carried
                if side in carried_before and ours[side] >= ours_before[side]}

    def _pings(self, network: Network, name: str) -> bool:
        """Both directions of the link carry."""
        link = network.links[name]
        limit_s = PING_LIMIT_S + 3 * link.delay_ms / 1000
        try:
            self.place.run(link.a, ["ping", "-c", "1", "-W", f"{limit_s:g}",
                                    self.place.address(name, link.b)])
        except PlaceError:
            return False
        return True


def label(arc: Arc) -> str:
    """Parallel links have numbers."""
    return f"{arc} over {arc.link}" if "." in arc.link else str(arc)


def stuck_arcs(deployment: Deployment, hops: dict[Arc, Hop]) -> list[Arc]:
    """Over which an application does not get through; not those to a module that has died."""
    layout, dead = deployment.layout, set(deployment.dead())
    if layout is None:
        return []
    gone = {module.pop for module in layout.modules if module.name in dead}
    return [arc for arc, hop in hops.items() if not hop.is_up and arc.head not in gone]
