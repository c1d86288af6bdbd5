"""The network as numbers: PoPs and arcs by index, and the cheapest paths over them."""

from __future__ import annotations

from typing import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

# Added to each arc's price, so that of equally cheap paths the one with fewer arcs is taken, and
# that scipy does not take an arc of price 0 for none.
EPSILON = 1e-9


class Graph:
    """`tails[i]`, `heads[i]`: the PoPs of arc i, from 0 to pop_count - 1; `rates_kbit[i]`."""

    def __init__(self, pop_count: int, tails: Sequence[int], heads: Sequence[int],
                 rates_kbit: Sequence[float]):
        self.pop_count = pop_count
        self.tails = np.asarray(tails, dtype=np.int64)
        self.heads = np.asarray(heads, dtype=np.int64)
        self.rates_kbit = np.asarray(rates_kbit, dtype=float)

    @property
    def arc_count(self) -> int:
        return len(self.tails)

    def cheapest_paths(self, prices: np.ndarray, ends: Sequence[tuple[int, int]]
                       ) -> list[tuple[int, ...]]:
        """For each (source, target) the arcs of a path of least price; () when there is none."""
        arc_of, matrix = self._priced(prices)
        sources = sorted({source for source, _ in ends})
        row_of = {source: row for row, source in enumerate(sources)}
        _, before = dijkstra(matrix, indices=sources, return_predecessors=True)
        return [self._walk_back(before[row_of[source]], arc_of, source, target)
                for source, target in ends]

    def _priced(self, prices: np.ndarray) -> tuple[dict[tuple[int, int], int], csr_matrix]:
        """Of parallel arcs the cheapest: a matrix has one entry for a pair."""
        order = np.argsort(-prices, kind="stable")  # the last one that is written stays
        arc_of = dict(zip(zip(self.tails[order].tolist(), self.heads[order].tolist()),
                          order.tolist()))
        arcs = np.fromiter(arc_of.values(), dtype=np.int64, count=len(arc_of))
        shape = (self.pop_count, self.pop_count)
        matrix = csr_matrix((np.maximum(prices[arcs], 0) + EPSILON,
                             (self.tails[arcs], self.heads[arcs])), shape=shape)
        return arc_of, matrix

    @staticmethod
    def _walk_back(before: np.ndarray, arc_of: dict[tuple[int, int], int], source: int,
                   target: int) -> tuple[int, ...]:
        arcs = []
        at = target
        while at != source:
            previous = int(before[at])
            if previous < 0:
                return ()
            arcs.append(arc_of[previous, at])
            at = previous
        return tuple(reversed(arcs))
