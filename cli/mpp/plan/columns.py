"""The paths that a programme knows: all that were ever found, and those that are in use now."""

from __future__ import annotations

from itertools import chain

import numpy as np
from scipy.sparse import csc_matrix


class Columns:
    """Each is a path of one application; the arrays are by column. Most are of no use to the optimum, and
    what is solved should be small: `keep_only` puts the others aside, `wake` fetches those that have
    become cheap."""

    def __init__(self, arc_count: int):
        self.arc_count = arc_count
        self.apps: list[int] = []
        self.paths: list[tuple[int, ...]] = []
        self.index: dict[tuple[int, tuple[int, ...]], int] = {}
        self.is_used: list[bool] = []

    def add(self, app: int, path: tuple[int, ...]) -> bool:
        """False when it is in use already, or no path."""
        if not path:
            return False
        at = self.index.setdefault((app, path), len(self.apps))
        if at == len(self.apps):
            self.apps.append(app)
            self.paths.append(path)
            self.is_used.append(False)
        was_used, self.is_used[at] = self.is_used[at], True
        return not was_used

    @property
    def used(self) -> np.ndarray:
        return np.flatnonzero(self.is_used)

    def keep_only(self, columns: np.ndarray) -> None:
        self.is_used = [False] * len(self.apps)
        for column in columns.tolist():
            self.is_used[column] = True

    def put_aside(self, which: np.ndarray) -> None:
        for column in np.flatnonzero(which).tolist():
            self.is_used[column] = False

    def on_arcs(self) -> csc_matrix:
        """1 where a column (across) has an arc (down)."""
        ends = np.cumsum([0, *map(len, self.paths)])
        arcs = np.fromiter(chain.from_iterable(self.paths), dtype=np.int64, count=ends[-1])
        return csc_matrix((np.ones(len(arcs)), arcs, ends), shape=(self.arc_count, len(self.apps)))

    def wake(self, reduced: np.ndarray, below: float, per_app: int) -> bool:
        """Of those put aside the cheapest of each application, if their reduced cost is below.
        Whether there were any."""
        aside = np.flatnonzero((reduced < below) & ~np.array(self.is_used, dtype=bool))
        woken: dict[int, int] = {}
        for column in aside[np.argsort(reduced[aside], kind="stable")].tolist():
            app = self.apps[column]
            woken[app] = woken.get(app, 0) + 1
            if woken[app] <= per_app:
                self.is_used[column] = True
        return bool(woken)
