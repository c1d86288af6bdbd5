"""Looks at the network and its modules: what links carry, which do not, and how much of it is ours."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import Callable, Iterable, Sequence

from .autopilot import Look, Side
from .deployment import Deployment, Hop
from .history import Counters
from .model import Arc, Network, PopId
from .place.base import Place, PlaceError
from .together import at_once

WIRE_PART = 1.06  # Ethernet bytes for one of payload, with our frames' heads and some sent again
ACK_PART = 0.03  # and of those against it
PING_LIMIT_S = 0.4


class Watch:
    """Of what it saw before it keeps what rates need. `tell` is for what cannot be looked at."""

    def __init__(self, network: Network, place: Place, tell: Callable[[str], object]):
        self.network, self.place, self.tell = network, place, tell
        self.before: tuple[float, dict[Side, int], dict[Side, float]] = (0.0, {}, {})
        self.links_between = Counter(ends for link in network.links.values()
                                     for ends in link.directions)
        self.has_ping: dict[PopId, bool] = {}  # where that is known

    def look(self, running: Sequence[Deployment], bad_links: set[str]) -> tuple[Look, Counters]:
        hops = dict(zip((deployment.app.name for deployment in running),
                        at_once(lambda deployment: deployment.hops(), running)))
        sides = self.place.look()
        carried = {side: seen.sent_bytes for side, seen in sides.items()}
        down = {name for (name, _), seen in sides.items() if not seen.is_up}
        stuck = {arc.link for deployment in running
                 for arc in stuck_arcs(deployment, hops[deployment.app.name])}
        stuck |= self._silent(sorted(bad_links - down))
        look = Look(down, stuck, self._others_kbit(carried, hops.values()),
                    {side: seen.bandwidth_kbit for side, seen in sides.items()
                     if seen.bandwidth_kbit is not None})
        return look, self._counters(carried, running, hops)

    def _counters(self, carried: dict[Side, int], running: Sequence[Deployment],
                  hops: dict[str, dict[Arc, Hop]]) -> Counters:
        counters = Counters(time.time(), links=carried)
        for deployment, stats in zip(running, at_once(lambda each: each.stats(), running)):
            name, said = deployment.app.name, stats.get("bytes", {})
            counters.apps[name] = said.get("from_edge_total", 0) + said.get("to_edge_total", 0)
            for arc, hop in hops[name].items():
                if arc.tail == deployment.app.source:
                    counters.paths[name, self._label(arc)] = hop.sent_bytes + hop.received_bytes
        return counters

    def _label(self, arc: Arc) -> str:
        """Of parallel links, with the link's name."""
        return f"{arc} over {arc.link}" if self.links_between[arc.tail, arc.head] > 1 else str(arc)

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

    # ---- what nothing is sent over ----

    def _silent(self, names: Sequence[str]) -> set[str]:
        """Those of these links that do not carry both ways, by a ping: where that is missing,
        nobody knows, and they count as good."""
        silent = {name for name, answers in zip(names, at_once(self._pings, names)) if not answers}
        return {name for name in silent if self._can_ping(self.network.links[name].a)}

    def _pings(self, name: str) -> bool:
        link = self.network.links[name]
        limit_s = PING_LIMIT_S + 3 * link.delay_ms / 1000
        try:
            self.place.run(link.a, ["ping", "-c", "1", "-W", f"{limit_s:g}",
                                    self.place.address(name, link.b)])
        except PlaceError:
            return False
        return True

    def _can_ping(self, pop: PopId) -> bool:
        """As far as is known: a PoP that does not answer says nothing of it."""
        if pop not in self.has_ping:
            with contextlib.suppress(PlaceError):
                said = self.place.run(pop, ["sh", "-c", "command -v ping || echo missing"])
                self.has_ping[pop] = said.strip() != "missing"
                if not self.has_ping[pop]:
                    self.tell(f"PoP {pop} has no ping (apt-get install iputils-ping): links that "
                              "have failed are used again untried")
        return self.has_ping.get(pop, True)


def stuck_arcs(deployment: Deployment, hops: dict[Arc, Hop]) -> list[Arc]:
    """Over which an application does not get through; not those to a module that has died, and is
    started anew, there or elsewhere."""
    layout = deployment.layout
    if layout is None:
        return []
    gone = {module.pop for module in layout.modules if module.name in deployment.ended}
    return [arc for arc, hop in hops.items() if not hop.is_up and arc.head not in gone]
