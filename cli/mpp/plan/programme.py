"""Linear programmes over paths, solved by column generation (Ford and Fulkerson 1958): a programme
knows few of all paths, and the prices that its optimum puts on arcs say which further path would
improve it. When none would, the optimum is that over all paths.

Variables: the rate of each path, in kbit/s, and one more, `level`. Rows: each arc's rate, and rows over
applications, which are the caller's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Sequence

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, vstack

from .graph import Graph

TOLERANCE = 1e-7  # of a reduced cost, to that of the objective
ROUNDS_MAX = 200


@dataclass
class Demand:
    """From PoP `source` to PoP `target`."""

    source: int
    target: int


@dataclass
class Row:
    """sum of per_app[k] * rate of application k, and of_level * level, is at most `most`."""

    per_app: dict[int, float]
    most: float
    of_level: float = 0


@dataclass
class Objective:
    """To be made least: sum of (per_app[k] + per_hop * hops) * rate of each path of application k,
    and of_level * level."""

    per_app: Sequence[float]
    per_hop: float = 0
    of_level: float = 0


@dataclass
class Solution:
    value: float
    bound: float  # no solution over whatever paths is below
    level: float
    rates_kbit: np.ndarray  # of each column
    arc_prices: np.ndarray
    row_prices: np.ndarray  # as Programme.rows; >= 0: by how much the value falls with `most`


@dataclass
class Columns:
    """The paths that are known, each of one application."""

    app: list[int] = field(default_factory=list)
    arcs: list[tuple[int, ...]] = field(default_factory=list)
    seen: set[tuple[int, tuple[int, ...]]] = field(default_factory=set)

    def add(self, app: int, arcs: tuple[int, ...]) -> bool:
        if not arcs or (app, arcs) in self.seen:
            return False
        self.seen.add((app, arcs))
        self.app.append(app)
        self.arcs.append(arcs)
        return True


class Unsolved(Exception):
    """HiGHS gave no optimum: our mistake, or a badly scaled network."""


class Programme:
    """Of one graph and its demands. The columns stay from one solution to the next."""

    def __init__(self, graph: Graph, demands: Sequence[Demand]):
        self.graph, self.demands = graph, list(demands)
        self.ends = [(d.source, d.target) for d in demands]
        self.columns = Columns()
        self.rows: list[Row] = []
        # What an application can have at the most, over whatever paths.
        self.reach_kbit = np.array([min(graph.rates_kbit[graph.tails == d.source].sum(),
                                        graph.rates_kbit[graph.heads == d.target].sum())
                                    for d in demands])
        for app, arcs in enumerate(graph.cheapest_paths(np.zeros(graph.arc_count), self.ends)):
            self.columns.add(app, arcs)

    def rates_of_apps(self, rates_kbit: np.ndarray) -> np.ndarray:
        return np.bincount(self.columns.app, rates_kbit, minlength=len(self.demands))

    def minimize(self, objective: Objective, gap: float = 0) -> Solution:
        """Until value and bound are nearer than `gap` of the value, or no path improves it."""
        for _ in range(ROUNDS_MAX):
            solution = self._solve(objective)
            has_new = self._generate(objective, solution)
            if not has_new or solution.value - solution.bound <= gap * abs(solution.value):
                return solution
        return solution

    def _solve(self, objective: Objective) -> Solution:
        columns, graph = self.columns, self.graph
        count = len(columns.app)
        sizes = [len(arcs) for arcs in columns.arcs]
        on_arcs = csr_matrix((np.ones(sum(sizes)),
                              (np.concatenate([*map(np.array, columns.arcs), []]).astype(int),
                               np.repeat(np.arange(count), sizes))),
                             shape=(graph.arc_count, count + 1))
        used = np.flatnonzero(np.diff(on_arcs.indptr))
        costs = np.append(np.asarray(objective.per_app)[columns.app]
                          + objective.per_hop * np.array(sizes), objective.of_level)
        done = linprog(costs, A_ub=vstack([on_arcs[used], self._app_rows(count)], format="csr"),
                       b_ub=np.append(graph.rates_kbit[used], [row.most for row in self.rows]),
                       bounds=[(0, None)] * (count + 1), method="highs")
        if done.status != 0:
            raise Unsolved(done.message)
        prices = np.maximum(-done.ineqlin.marginals, 0)
        arc_prices = np.zeros(graph.arc_count)
        arc_prices[used] = prices[:len(used)]
        return Solution(done.fun, -np.inf, done.x[-1], done.x[:-1], arc_prices,
                        prices[len(used):])

    def _app_rows(self, count: int) -> csr_matrix:
        apps = np.array(self.columns.app, dtype=int)
        per_app = np.zeros((len(self.rows), len(self.demands) + 1))
        for i, row in enumerate(self.rows):
            per_app[i, list(row.per_app)] = list(row.per_app.values())
            per_app[i, -1] = row.of_level
        return csr_matrix(per_app[:, [*apps, len(self.demands)]]).reshape(
            (len(self.rows), count + 1))

    def _generate(self, objective: Objective, solution: Solution) -> bool:
        """Adds the path of least reduced cost of each application, and sets the bound: by as much as
        all applications together could gain."""
        fixed = np.array(objective.per_app, dtype=float)
        for row, price in zip(self.rows, solution.row_prices):
            for app, factor in row.per_app.items():
                fixed[app] += factor * price
        prices = solution.arc_prices + objective.per_hop
        paths = self.graph.cheapest_paths(prices, self.ends)
        reduced = np.array([fixed[app] + prices[list(arcs)].sum() if arcs else 0.0
                            for app, arcs in enumerate(paths)])
        scale = max(1.0, float(np.abs(fixed).max(initial=0)))
        solution.bound = solution.value + float((np.minimum(reduced, 0) * self.reach_kbit).sum())
        added = [self.columns.add(app, paths[app])
                 for app in np.flatnonzero(reduced < -TOLERANCE * scale)]
        return any(added)


