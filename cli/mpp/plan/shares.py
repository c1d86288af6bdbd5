"""How much each application gets. Programmes, each within the optimum of the one before:

    1. the most for all together, each application within its minimum and maximum;
    2. max-min fair shares of it: what the smallest have is as much as can be, then what the next have,
       and so on (Bertsekas and Gallager, *Data Networks*, 6.5.2), since the first optimum is seldom the
       only one, and some would give an application nothing;
    3. the fewest hops, which also leaves no circles.

In a small network the shares are exact: one programme for each rate that differs. In a large one many
are found at once, in steps."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from .graph import Graph
from .programme import Demand, Objective, Programme, Row, Solution

SLACK = 1e-6  # by which less of a rate that was found is asked for: HiGHS has tolerances, too
PRICE_MIN = 1e-6  # of a row that binds; those of all applications add up to 1
EXACT_ARCS = 4000  # times applications: up to here all is exact
GAP = 0.01  # beyond, to the bound; the others only have an end
HUGE_ARCS = 1_000_000  # times applications: from here on
LEAST_GAIN = 0.002  # a round that gains less is the last: the bound would take minutes more to show it
GAP_HOPS = 0.02
GAP_FAIR = 1e-4  # small: one that starves is worth little beside all others
STEP = 1.1  # beyond, rates that differ by less may be unfair to each other;
STEPS = 8  # so many steps in one programme,
STEP_WORTH = 3.0  # and a kbit/s in one is worth so many in the next


class Misfit(Exception):
    """Only `part` of the minima fits. `apps` get in each other's way, `arcs` are full then."""

    def __init__(self, apps: list[int], arcs: list[int], part: float):
        super().__init__()
        self.apps, self.arcs, self.part = apps, arcs, part


class Shares:
    def __init__(self, graph: Graph, demands: Sequence[Demand]):
        self.programme = Programme(graph, demands)
        self.count = len(demands)
        self.minima = np.array([demand.least_kbit for demand in demands], dtype=float)
        self.is_exact = graph.arc_count * self.count <= EXACT_ARCS
        self.least_gain = LEAST_GAIN if graph.arc_count * self.count >= HUGE_ARCS else 0
        self.rates_kbit = np.zeros(self.count)  # of the applications that are fixed
        self.left: list[int] = []  # those that are not
        self.kept = [Row({k: 1}, demand.most_kbit) for k, demand in enumerate(demands)
                     if demand.most_kbit is not None]

    def find(self) -> float:
        """Sets `rates_kbit`; returns the bound of their sum."""
        self._check_minima()
        self.kept += self._at_least(self.minima)
        if not self.is_exact:
            self.programme.spread()
        most = self._minimize([], Objective(-np.ones(self.count)), GAP, self.least_gain)
        self.kept.append(Row(dict.fromkeys(range(self.count), -1), most.value * (1 - SLACK)))
        self.left = list(range(self.count))
        lowest = 0.0
        while self.left and (self.is_exact or lowest < 1):
            lowest = self._fix_lowest()
        while self.left:
            lowest = self._fix_some(lowest)
        return -most.bound

    def fewest_hops(self) -> list[dict[int, float]]:
        """For each application, what it has on each arc."""
        solution = self._minimize(self._at_least(self.rates_kbit),
                                  Objective(np.zeros(self.count), per_hop=1), GAP_HOPS, self.least_gain)
        on_arcs: list[dict[int, float]] = [{} for _ in range(self.count)]
        columns = self.programme.columns
        for app, path, rate in zip(columns.apps, columns.paths, solution.rates_kbit):
            for arc in path:
                on_arcs[app][arc] = on_arcs[app].get(arc, 0) + float(rate)
        return on_arcs

    def _minimize(self, rows: list[Row], objective: Objective, gap: float = GAP,
                  least_gain: float = 0) -> Solution:
        """`gap` and `least_gain` are of no account where all is exact."""
        self.programme.rows = [*rows, *self.kept]
        if self.is_exact:
            return self.programme.minimize(objective)
        solution = self.programme.minimize(objective, gap, least_gain)
        self.programme.columns.keep_only(np.flatnonzero(solution.rates_kbit))
        return solution

    def _most(self, limits: np.ndarray, worths: np.ndarray) -> Objective:
        """Of the extra variables."""
        return Objective(np.zeros(self.count), extra=-worths, limits=limits)

    @staticmethod
    def _at_least(rates_kbit: np.ndarray) -> list[Row]:
        return [Row({k: -1}, -rate * (1 - SLACK)) for k, rate in enumerate(rates_kbit) if rate > 0]

    def _check_minima(self) -> None:
        """The largest part of all minima that fits, up to all."""
        wanting = np.flatnonzero(self.minima)
        if not len(wanting):
            return
        best = self._minimize([Row({k: -1}, 0, {0: self.minima[k]}) for k in wanting.tolist()],
                              self._most(np.ones(1), np.ones(1)))
        part = float(best.extra[0])
        if part >= 1 - SLACK / 2:
            return
        binding = wanting[best.row_prices[:len(wanting)] * self.minima[wanting] > PRICE_MIN]
        full = np.flatnonzero(best.arc_prices * self.programme.graph.rates_kbit > PRICE_MIN)
        raise Misfit(binding.tolist(), full.tolist(), part)

    def _fix(self, apps: Sequence[int], rates_kbit: Sequence[float]) -> None:
        for k, rate in zip(apps, rates_kbit):
            self.rates_kbit[k] = max(rate, self.minima[k])
        self.left = sorted(set(self.left) - set(apps))

    def _fix_lowest(self) -> float:
        """Makes the smallest rate of those that are left as large as it can be, and fixes those that
        stand in the way of more: their rows have a price. Returns that rate."""
        fair = self._minimize([*(Row({k: -1}, 0, {0: 1}) for k in self.left),
                               *self._at_least(self.rates_kbit)],
                              self._most(np.full(1, np.inf), np.ones(1)), GAP_FAIR)
        binding = [k for k, price in zip(self.left, fair.row_prices) if price > PRICE_MIN]
        self._fix(binding or self.left, [fair.extra[0]] * self.count)
        return float(fair.extra[0])

    def _fix_some(self, lowest: float) -> float:
        """All that are left have `lowest`. Fixes those that cannot rise over STEPS steps more; a step
        is worth so much more than the next that what is further down comes first. Returns what all
        that are still left have."""
        widths = np.diff(lowest * STEP ** np.arange(STEPS + 1))
        count = len(self.left)
        rise = self._minimize([*(Row({k: -1}, -lowest * (1 - SLACK),
                                     dict.fromkeys(range(i * STEPS, (i + 1) * STEPS), 1.0))
                                 for i, k in enumerate(self.left)),
                               *self._at_least(self.rates_kbit)],
                              self._most(np.tile(widths, count),
                                         np.tile(STEP_WORTH ** -np.arange(STEPS), count)),
                              GAP_FAIR)
        risen = rise.extra.reshape(count, STEPS).sum(axis=1)
        stay = np.flatnonzero(risen < widths.sum() * (1 - SLACK))
        self._fix([self.left[i] for i in stay], lowest + risen[stay])
        return lowest + float(widths.sum())
