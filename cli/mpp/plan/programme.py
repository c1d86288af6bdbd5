"""Linear programmes over paths, solved by column generation (Ford and Fulkerson 1958): a programme
knows few of all paths, and the prices that its optimum puts on arcs say which further path would
improve it. When none would, the optimum is that over all paths.

Variables: the rate of each path, in kbit/s, and the caller's extra ones. Rows: each arc's rate, and rows
over applications and extra variables, which are the caller's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Sequence

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, hstack, vstack

from .columns import Columns
from .graph import Graph
from .outcome import Unsolved

TOLERANCE = 1e-7  # of a reduced cost, to that of the objective
ROUNDS_MAX, PATIENCE = 200, 10
# Inner points and crossover take half of what simplex takes where many paths are equally good.
METHODS = ("highs-ipm", "highs-ds")
STEADY = (.9, .7, .4, 0.)  # parts of the best prices in those at which paths are looked for
DEAR = 0.1  # of the objective: a path with such a reduced cost is put aside,
WOKEN_PER_APP = 10  # and so many are fetched at a time when they have become cheap
SPREAD_ROUNDS_MAX, SPREAD_FIRST, SPREAD_RISE = 400, .02, .6


@dataclass
class Demand:
    """Of an application: from PoP `source` to PoP `target`."""

    source: int
    target: int
    least_kbit: float = 0
    most_kbit: Optional[float] = None


@dataclass
class Row:
    """sum of per_app[k] * rate of application k, and of of_extra[i] * extra variable i, is at most
    `most`."""

    per_app: dict[int, float]
    most: float
    of_extra: dict[int, float] = field(default_factory=dict)


@dataclass
class Objective:
    """To be made least: sum of (per_app[k] + per_hop * hops) * rate of each path of application k,
    and of extra[i] * extra variable i, which is between 0 and limits[i]."""

    per_app: np.ndarray
    per_hop: float = 0
    extra: np.ndarray = field(default_factory=lambda: np.zeros(0))
    limits: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass
class Solution:
    value: float
    bound: float  # no solution over whatever paths is below
    extra: np.ndarray
    rates_kbit: np.ndarray  # of each column
    arc_prices: np.ndarray
    row_prices: np.ndarray  # as Programme.rows; >= 0: by how much the value falls with `most`


class Programme:
    """Of one graph and its demands. The columns stay from one solution to the next."""

    def __init__(self, graph: Graph, demands: Sequence[Demand]):
        self.graph, self.demands = graph, list(demands)
        self.ends = [(d.source, d.target) for d in demands]
        self.columns = Columns(graph.arc_count)
        self.rows: list[Row] = []
        self.reach_kbit = np.zeros(len(demands))  # what each would have alone, at the most
        for app, path in enumerate(graph.cheapest_paths(np.zeros(graph.arc_count), self.ends)):
            self.columns.add(app, path)
            self.reach_kbit[app] = min(graph.rates_kbit[graph.tails == self.ends[app][0]].sum(),
                                       graph.rates_kbit[graph.heads == self.ends[app][1]].sum())

    def spread(self) -> None:
        """Adds paths that go well together: each application sends over its cheapest path, arcs become
        dearer the fuller they get, and again, until every path costs more than 1 (Garg and Koenemann
        1998, with all applications at once)."""
        graph = self.graph
        prices = np.full(graph.arc_count, SPREAD_FIRST)
        for _ in range(SPREAD_ROUNDS_MAX):
            paths = [(app, list(path)) for app, path
                     in enumerate(graph.cheapest_paths(prices, self.ends)) if path]
            sending = [(app, path) for app, path in paths if prices[path].sum() < 1]
            if not sending:
                break
            users, load = np.zeros(graph.arc_count), np.zeros(graph.arc_count)
            for _, path in sending:
                users[path] += 1
            for app, path in sending:
                load[path] += (graph.rates_kbit[path] / users[path]).min()
                self.columns.add(app, tuple(path))
            prices *= 1 + SPREAD_RISE * load / graph.rates_kbit

    def minimize(self, objective: Objective, gap: float = 0, least_gain: float = 0) -> Solution:
        """Until value and bound are nearer than `gap` of the value, or no path improves it, or, after
        PATIENCE rounds, one improved it by less than `least_gain` of the value."""
        bound, best, before = -np.inf, None, np.inf
        for turn in range(ROUNDS_MAX):
            solution = self._solve(objective)
            own = np.append(solution.arc_prices, solution.row_prices)
            has_new, next_best = self._choose(objective, own), own if best is None else best
            # Prices of an optimum over few paths jump from one round to the next. Paths are looked for
            # at prices between them and those that gave the best bound, too (Wentges 1997).
            for part in STEADY if best is not None else (0.0,):
                prices = own if part == 0 else part * best + (1 - part) * own
                found, is_new = self._generate(objective, prices)
                has_new |= is_new
                if found > bound:
                    bound, next_best = found, prices
            best = next_best
            solution.bound = bound
            scale = abs(solution.value)
            if (not has_new or solution.value - bound <= gap * scale
                    or turn >= PATIENCE and before - solution.value < least_gain * scale):
                break
            before = solution.value
        return solution

    def _solve(self, objective: Objective) -> Solution:
        columns, graph = self.columns, self.graph
        used = columns.used
        count, extras = len(used), len(objective.extra)
        if count + extras == 0:  # no way for anybody
            return Solution(0.0, 0.0, np.zeros(0), np.zeros(0), np.zeros(graph.arc_count),
                            np.zeros(len(self.rows)))
        apps = np.array(columns.apps, dtype=np.int64)[used]
        on_arcs = columns.on_arcs()[:, used].tocsr()
        arcs = np.flatnonzero(np.diff(on_arcs.indptr))
        costs = objective.per_app[apps] + objective.per_hop * on_arcs.sum(axis=0).A1
        limits = np.append(np.full(count, np.inf), objective.limits)
        rows = hstack([on_arcs[arcs], csr_matrix((len(arcs), extras))])
        for method in METHODS:
            done = linprog(np.append(costs, objective.extra),
                           A_ub=vstack([rows, self._app_rows(apps, extras)], format="csr"),
                           b_ub=np.append(graph.rates_kbit[arcs], [row.most for row in self.rows]),
                           bounds=np.column_stack([np.zeros(len(limits)), limits]), method=method)
            if done.status == 0:
                break
        else:
            raise Unsolved(done.message)
        prices = np.maximum(-done.ineqlin.marginals, 0)
        arc_prices = np.zeros(graph.arc_count)
        arc_prices[arcs] = prices[:len(arcs)]
        rates_kbit = np.zeros(len(columns.apps))
        rates_kbit[used] = done.x[:count]
        return Solution(done.fun, -np.inf, done.x[count:], rates_kbit, arc_prices,
                        prices[len(arcs):])

    def _app_rows(self, apps: np.ndarray, extras: int) -> csr_matrix:
        app_count = len(self.demands)
        per_app = np.zeros((len(self.rows), app_count + extras))
        for i, row in enumerate(self.rows):
            per_app[i, list(row.per_app)] = list(row.per_app.values())
            per_app[i, [app_count + k for k in row.of_extra]] = list(row.of_extra.values())
        return csr_matrix(per_app[:, [*apps, *range(app_count, app_count + extras)]]).reshape(
            (len(self.rows), len(apps) + extras))

    def _priced_rows(self, objective: Objective, prices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the rows cost each application, and each extra variable, per kbit/s."""
        of_apps, of_extra = np.zeros(len(self.demands)), np.zeros(len(objective.extra))
        for row, price in zip(self.rows, prices[self.graph.arc_count:]):
            for app, factor in row.per_app.items():
                of_apps[app] += factor * price
            for k, factor in row.of_extra.items():
                of_extra[k] += factor * price
        return of_apps, of_extra

    def _choose(self, objective: Objective, prices: np.ndarray) -> bool:
        """Of the known paths those that have become cheap, and not those that have become dear."""
        of_apps, _ = self._priced_rows(objective, prices)
        per_arc = prices[:self.graph.arc_count] + objective.per_hop
        reduced = self.columns.on_arcs().T @ per_arc
        reduced += (objective.per_app + of_apps)[self.columns.apps]
        scale = float(np.abs(objective.per_app + of_apps).max(initial=0))
        self.columns.put_aside(reduced > DEAR * max(scale, objective.per_hop))
        return self.columns.wake(reduced, -TOLERANCE, WOKEN_PER_APP)

    def _generate(self, objective: Objective, prices: np.ndarray) -> tuple[float, bool]:
        """Adds the path of least reduced cost of each application where that is below 0. Returns the
        bound that these prices give, and whether there were any."""
        arc_prices = prices[:self.graph.arc_count]
        paths = self.graph.cheapest_paths(arc_prices + objective.per_hop, self.ends)
        of_apps, of_extra = self._priced_rows(objective, prices)
        lengths = of_apps + [arc_prices[list(path)].sum() for path in paths]
        own = objective.per_app + [objective.per_hop * len(path) for path in paths]
        has_path = np.array([bool(path) for path in paths])
        bound = self._bound(objective, prices, own[has_path], lengths[has_path],
                            self.reach_kbit[has_path], of_extra)
        scale = max(1.0, float(np.abs(objective.per_app + of_apps).max(initial=0)))
        added = [self.columns.add(app, paths[app])
                 for app in np.flatnonzero(own + lengths < -TOLERANCE * scale)]
        return bound, any(added)

    def _bound(self, objective: Objective, prices: np.ndarray, own: np.ndarray, lengths: np.ndarray,
               reach_kbit: np.ndarray, of_extra: np.ndarray) -> float:
        """Whatever the prices are, nobody gains more than the reduced cost of the cheapest path times
        what can be reached (Lagrange); with all prices raised by a factor, no path may be left that gains
        at all (Farley 1990). The best of some factors. A cheapest path by price and hops has a
        different reduced cost at other factors, so only 1 is right with a price per hop."""
        most = np.append(self.graph.rates_kbit, [row.most for row in self.rows])
        worth = float(most @ prices)
        factors = np.ones(1)
        if objective.per_hop == 0:
            with np.errstate(divide="ignore", invalid="ignore"):
                breaks = -own / lengths
            factors = np.append(factors, breaks[np.isfinite(breaks) & (breaks > 1)])
        gains = np.minimum(own + np.outer(factors, lengths), 0) @ reach_kbit
        reduced = np.minimum(objective.extra + np.outer(factors, of_extra), 0)
        reduced[np.isinf(objective.limits) & (reduced > -TOLERANCE)] = 0
        with np.errstate(invalid="ignore"):
            of_extras = np.where(reduced < 0, reduced * objective.limits, 0).sum(axis=1)
        return float((gains + of_extras - factors * worth).max())
