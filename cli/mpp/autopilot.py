"""When a new plan is due, by what is seen of the network: a decision without sockets and clocks.

A link that fails is left out at once, and used again when it has been good for a while; for longer
each time that it fails again soon, so that one that flaps stays out. What others take of a link, and
what has become of its bandwidth, counts when it differs enough from what was planned with, and stays."""

from __future__ import annotations

from dataclasses import dataclass, field

from .model import KBIT_PER_MBIT, Network, PopId
from .retry import Retry

LOOKS_MIN = 2  # in a row that say the same, of what is measured
HOLD_FIRST_S, HOLD_MAX_S = 1.0, 60.0  # before a link that was bad is used again
HOLD_MEMORY_S = 60.0  # a link that was good for so long has not failed before
PART_MIN = 0.1  # of the bandwidth, by which a rate has to differ
REST_S = 1.0  # between two plans because of rates

Side = tuple[str, PopId]  # of a link: what its PoP sends


@dataclass
class Look:
    """What is seen at one time."""

    down: set[str] = field(default_factory=set)  # links whose interfaces say so
    stuck: set[str] = field(default_factory=set)  # links over which modules do not get through
    others_kbit: dict[Side, float] = field(default_factory=dict)  # what is not ours
    bandwidth_kbit: dict[Side, float] = field(default_factory=dict)  # where the kernel tells


class Watched:
    """The failures of a link, or of a PoP."""

    def __init__(self) -> None:
        self.is_bad = False
        self.failed_at = self.good_since = -HOLD_MEMORY_S
        self.hold_s = HOLD_FIRST_S

    def fail(self, now: float) -> None:
        if not self.is_bad:
            again = now - self.good_since < HOLD_MEMORY_S
            self.hold_s = min(2 * self.hold_s, HOLD_MAX_S) if again else HOLD_FIRST_S
        self.is_bad, self.failed_at = True, now

    def is_over(self, now: float) -> bool:
        """It was bad, and has been good for long enough."""
        return self.is_bad and now - self.failed_at >= self.hold_s

    def come_back(self, now: float) -> None:
        self.is_bad, self.good_since = False, now


class Autopilot:
    def __init__(self, network: Network):
        self.network = network
        self.links = {name: Watched() for name in network.links}
        self.pops: dict[PopId, Watched] = {}  # where proxies did not start
        self.retry = Retry()
        self.less_kbit: dict[Side, float] = {}  # planned with
        self.suspects: dict[object, tuple[float, int]] = {}  # what was seen how often in a row
        self.told_mbit = self._told_now()
        self.planned_at = float("-inf")

    def _told_now(self) -> dict[str, float]:
        return {name: link.bandwidth_mbit for name, link in self.network.links.items()}

    @property
    def bad_links(self) -> set[str]:
        return {name for name, link in self.links.items() if link.is_bad}

    @property
    def bad_pops(self) -> set[PopId]:
        """That are no relays for now."""
        return {name for name, pop in self.pops.items() if pop.is_bad}

    def fail_pop(self, now: float, pop: PopId) -> None:
        """A proxy did not start there, or was not well: another way may do without."""
        self.pops.setdefault(pop, Watched()).fail(now)

    def look(self, now: float, seen: Look) -> list[str]:
        """The reasons for a new plan; none: the one in force is good."""
        reasons = self._look_at_links(now, seen) + self._look_at_pops(now) + self._look_at_told()
        if reasons or now - self.planned_at >= REST_S:
            reasons += self._look_at_rates(seen)
        if reasons:
            self.planned_at = now
        return reasons

    def _seen_again(self, what: object, value: float) -> bool:
        """It was so for LOOKS_MIN looks in a row."""
        before, times = self.suspects.get(what, (value, 0))
        times = times + 1 if abs(before - value) <= PART_MIN * max(abs(before), 1) else 1
        self.suspects[what] = (value, times)
        return times >= LOOKS_MIN

    def _look_at_links(self, now: float, seen: Look) -> list[str]:
        reasons = []
        for name, link in self.links.items():
            if name in seen.down or (name in seen.stuck and
                                     self._seen_again((name, "stuck"), 1)):
                if not link.is_bad:
                    reasons.append(f"link {name} " + ("is down" if name in seen.down else
                                                      "does not carry what is sent over it"))
                link.fail(now)
                continue
            if name not in seen.stuck:
                self.suspects.pop((name, "stuck"), None)
            if link.is_over(now):
                link.come_back(now)
                reasons.append(f"link {name} is back, and has been good for {link.hold_s:g} s")
        return reasons

    def _look_at_pops(self, now: float) -> list[str]:
        reasons = []
        for name, pop in self.pops.items():
            if pop.is_over(now):
                pop.come_back(now)
                reasons.append(f"PoP {name} is tried again after {pop.hold_s:g} s")
        return reasons

    def _look_at_told(self) -> list[str]:
        before, self.told_mbit = self.told_mbit, self._told_now()
        changed = {name for name, mbit in self.told_mbit.items() if mbit != before[name]}
        self.less_kbit = {side: kbit for side, kbit in self.less_kbit.items() if side[0] not in changed}
        return [f"link {name} has {self.told_mbit[name]:g} Mbit/s now, {before[name]:g} before"
                for name in sorted(changed)]

    def _look_at_rates(self, seen: Look) -> list[str]:
        reasons = []
        for (name, pop), others_kbit in seen.others_kbit.items():
            link = self.network.links[name]
            told_kbit = link.bandwidth_mbit * KBIT_PER_MBIT
            has_kbit = seen.bandwidth_kbit.get((name, pop), told_kbit)
            less_kbit = min(max(others_kbit + told_kbit - has_kbit, 0), told_kbit)
            before = self.less_kbit.get((name, pop), 0)
            if abs(less_kbit - before) < PART_MIN * told_kbit:
                self.suspects.pop((name, pop), None)
            elif self._seen_again((name, pop), less_kbit):
                self.less_kbit[name, pop] = less_kbit if less_kbit >= PART_MIN * told_kbit else 0
                left_mbit = (told_kbit - self.less_kbit[name, pop]) / KBIT_PER_MBIT
                reasons.append(f"link {name} has {left_mbit:.3g} Mbit/s for us from PoP {pop}, "
                               f"{(told_kbit - before) / KBIT_PER_MBIT:.3g} before")
        return reasons
