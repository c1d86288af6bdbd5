"""Which application gets how much, and over which paths: from a network to a plan. How much is found
in `shares.py`."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Iterable, Mapping, Sequence

from ..model import KBIT_PER_MBIT, App, Arc, Network, PopId
from .graph import Graph
from .paths import decompose
from .programme import Demand
from .shares import Misfit, Shares


ARCS_MAX = 16  # of a path: the hop limit of docs/protocol.md; what would need more is left out


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
    """The minima do not fit. `apps` are those that get in each other's way, `arcs` those that are
    full then: the cut."""

    def __init__(self, apps: list[App], arcs: list[Arc], part: float):
        self.apps, self.arcs, self.part = apps, arcs, part
        names = ", ".join(f"{app.name} ({app.rate_mbit_min:g} Mbit/s)" for app in apps)
        cut = ", ".join(f"{arc} ({arc.rate_kbit / KBIT_PER_MBIT:g} Mbit/s)" for arc in arcs)
        super().__init__(
            f"{names}: of what {'it wants' if len(apps) == 1 else 'they want'} at least, there is "
            f"{100 * part:.4g} %; " + (f"the cut is {cut}" if arcs else "no link leads there"))


def plan(network: Network, apps: Sequence[App],
         less_kbit: Mapping[tuple[str, PopId], float] = MappingProxyType({})) -> Plan:
    """`less_kbit`: what of each (link, tail) is not to be used."""
    arcs = network.arcs(less_kbit)
    graph = _graph_of(network, arcs)
    if not apps:
        return Plan({}, 0)
    demands = _demands(network, apps)
    shares = Shares(graph, demands)
    try:
        bound_kbit = shares.find()
    except Misfit as misfit:
        raise Infeasible([apps[k] for k in misfit.apps], [arcs[i] for i in misfit.arcs],
                         misfit.part) from None
    flows = {}
    for app, demand, on_arcs in zip(apps, demands, shares.fewest_hops()):
        paths = decompose(graph, on_arcs, demand.source, demand.target)
        flows[app.name] = [Flow(app.name, tuple(arcs[i] for i in path), rate)
                           for path, rate in paths if len(path) <= ARCS_MAX]
    return Plan(flows, bound_kbit)


def _graph_of(network: Network, arcs: Sequence[Arc]) -> Graph:
    index = {pop: i for i, pop in enumerate(network.pops)}
    return Graph(len(index), [index[arc.tail] for arc in arcs], [index[arc.head] for arc in arcs],
                 [arc.rate_kbit for arc in arcs])


def _demands(network: Network, apps: Sequence[App]) -> list[Demand]:
    index = {pop: i for i, pop in enumerate(network.pops)}
    return [Demand(index[app.source], index[app.target], app.rate_mbit_min * KBIT_PER_MBIT,
                   None if app.rate_mbit_max is None else app.rate_mbit_max * KBIT_PER_MBIT)
            for app in apps]
