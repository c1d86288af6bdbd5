"""What comes of planning: flows, or why there are none. Whoever runs flows, or catches what is
raised here, needs neither numpy nor scipy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Sequence

from ..model import App, Arc


@dataclass(frozen=True)
class Flow:
    """A path of one application."""

    app: str
    arcs: tuple[Arc, ...]
    rate_kbit: float

    @property
    def pops(self) -> list:
        return [self.arcs[0].tail, *(arc.head for arc in self.arcs)]


def arc_rates(flows: Iterable[Flow]) -> dict[Arc, float]:
    """What all of them together have on each arc, in kbit/s."""
    rates: dict[Arc, float] = {}
    for flow in flows:
        for arc in flow.arcs:
            rates[arc] = rates.get(arc, 0) + flow.rate_kbit
    return rates


@dataclass(frozen=True)
class Plan:
    """`rate_kbit_bound`: no plan can give more to all together. Paths are the widest first."""

    flows: dict[str, list[Flow]]  # by application; an empty list: there is no way
    rate_kbit_bound: float

    def rate_kbit(self, app: str) -> float:
        return sum(flow.rate_kbit for flow in self.flows[app])

    @property
    def rate_kbit_total(self) -> float:
        return sum(map(self.rate_kbit, self.flows))

    @property
    def gap(self) -> float:
        """How much more there might be, as a part of the bound."""
        if self.rate_kbit_bound <= 0:
            return 0.0
        return max(0.0, 1 - self.rate_kbit_total / self.rate_kbit_bound)

    def arc_rates_kbit(self) -> dict[Arc, float]:
        return arc_rates(flow for flows in self.flows.values() for flow in flows)


class Infeasible(Exception):
    """Somebody cannot have what it wants at least. `apps` are those that get in each other's way,
    `arcs` those that are full then: the cut; of what they want there is `part`."""

    def __init__(self, apps: Sequence[App], why: str, arcs: Sequence[Arc] = (), part: float = 0.0):
        self.apps, self.arcs, self.part = list(apps), list(arcs), part
        names = ", ".join(f"{app.name} ({app.rate_mbit_min:g} Mbit/s)" for app in apps)
        super().__init__(f"{names}: {why}")


class Unsolved(Exception):
    """HiGHS gave no optimum: our mistake, or a badly scaled network."""
