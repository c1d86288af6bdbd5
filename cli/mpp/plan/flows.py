"""Which application gets how much, and over which paths. Three programmes, each within the optimum of
the one before:

    1. the most for all together, each application within its minimum and maximum;
    2. max-min fair shares: what the smallest have is as much as can be, then what the next have, and
       so on (Bertsekas and Gallager, *Data Networks*, 6.5.2), since the first optimum is seldom the only
       one, and some would give an application nothing;
    3. the fewest hops, which also leaves no circles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Sequence

import numpy as np

from ..model import KBIT_PER_MBIT, App, Arc, Network
from .graph import Graph
from .paths import decompose
from .programme import Demand, Objective, Programme, Row, Solution

SLACK = 1e-6  # by which less of a rate that was found is asked for: HiGHS has tolerances, too
PRICE_MIN = 1e-6  # of a row that binds; those of all applications add up to 1
EXACT_ARCS = 4000  # times applications: up to here the optimum is exact
GAP = 0.005  # beyond


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


def plan(network: Network, apps: Sequence[App]) -> Plan:
    arcs, graph = _graph_of(network)
    planner = _Planner(graph, _demands(network, apps), apps)
    planner.check_minima(apps, arcs)
    bound_kbit = planner.share()
    on_arcs = planner.on_arcs(planner.fewest_hops())
    flows = {}
    for app, demand, arc_rates in zip(apps, planner.programme.demands, on_arcs):
        paths = decompose(graph, arc_rates, demand.source, demand.target)
        flows[app.name] = [Flow(app.name, tuple(arcs[i] for i in path), rate)
                           for path, rate in paths]
    return Plan(flows, bound_kbit)


def _graph_of(network: Network) -> tuple[list[Arc], Graph]:
    index = {pop: i for i, pop in enumerate(network.pops)}
    arcs = network.arcs()
    return arcs, Graph(len(index), [index[arc.tail] for arc in arcs],
                       [index[arc.head] for arc in arcs], [arc.rate_kbit for arc in arcs])


def _demands(network: Network, apps: Sequence[App]) -> list[Demand]:
    index = {pop: i for i, pop in enumerate(network.pops)}
    return [Demand(index[app.source], index[app.target]) for app in apps]


class _Planner:
    def __init__(self, graph: Graph, demands: list[Demand], apps: Sequence[App]):
        self.programme = Programme(graph, demands)
        self.count = len(demands)
        self.minima = np.array([app.rate_mbit_min * KBIT_PER_MBIT for app in apps], dtype=float)
        self.within = [Row({k: 1}, app.rate_mbit_max * KBIT_PER_MBIT)
                       for k, app in enumerate(apps) if app.rate_mbit_max is not None]
        self.gap = 0.0 if graph.arc_count * self.count <= EXACT_ARCS else GAP
        self.rates_kbit = np.zeros(self.count)  # of the applications, once shared

    def _minimize(self, rows: list[Row], objective: Objective) -> Solution:
        self.programme.rows = [*rows, *self.within]
        return self.programme.minimize(objective, self.gap)

    def _at_least(self, rates_kbit: np.ndarray) -> list[Row]:
        return [Row({k: -1}, -rate * (1 - SLACK)) for k, rate in enumerate(rates_kbit) if rate > 0]

    def check_minima(self, apps: Sequence[App], arcs: Sequence[Arc]) -> None:
        """The largest part of all minima that fits, up to all."""
        wanting = np.flatnonzero(self.minima)
        if not len(wanting):
            return
        rows = [Row({int(k): -1}, 0, of_level=self.minima[k]) for k in wanting]
        best = self._minimize([*rows, Row({}, 1, of_level=1)],
                              Objective(np.zeros(self.count), of_level=-1))
        if best.level >= 1 - SLACK / 2:
            return
        binding = wanting[best.row_prices[:len(wanting)] * self.minima[wanting] > PRICE_MIN]
        full = np.flatnonzero(best.arc_prices * self.programme.graph.rates_kbit > PRICE_MIN)
        raise Infeasible([apps[k] for k in binding], [arcs[i] for i in full], best.level)

    def share(self) -> float:
        """Finds the rates of the applications; returns the bound of their sum."""
        at_least = self._at_least(self.minima)
        most = self._minimize(at_least, Objective(-np.ones(self.count)))
        total = Row(dict.fromkeys(range(self.count), -1), most.value * (1 - SLACK))
        open_apps = set(range(self.count))
        while open_apps:
            rows = [Row({k: -1}, 0, of_level=1) if k in open_apps
                    else Row({k: -1}, -self.rates_kbit[k] * (1 - SLACK))
                    for k in range(self.count)]
            fair = self._minimize([*rows, total, *at_least],
                                  Objective(np.zeros(self.count), of_level=-1))
            binding = {k for k in open_apps if fair.row_prices[k] > PRICE_MIN}
            for k in binding or open_apps:
                self.rates_kbit[k] = max(fair.level, self.minima[k])
            open_apps -= binding or open_apps
        return -most.bound

    def fewest_hops(self) -> Solution:
        return self._minimize(self._at_least(self.rates_kbit),
                              Objective(np.zeros(self.count), per_hop=1))

    def on_arcs(self, solution: Solution) -> list[dict[int, float]]:
        """For each application, what it has on each arc."""
        on_arcs: list[dict[int, float]] = [{} for _ in range(self.count)]
        columns = self.programme.columns
        for app, path, rate in zip(columns.app, columns.arcs, solution.rates_kbit):
            for arc in path:
                on_arcs[app][arc] = on_arcs[app].get(arc, 0) + float(rate)
        return on_arcs
