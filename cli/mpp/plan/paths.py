"""From the rates of an application on arcs to paths: circles are taken out, what is left is split into
paths, the widest first (flow decomposition: Ahuja, Magnanti and Orlin, *Network Flows*, 3.5)."""

from __future__ import annotations

from typing import Optional, Sequence

from .graph import Graph

NOISE_KBIT = 1e-3  # a rate below this is rounding


def decompose(graph: Graph, arc_rates: dict[int, float], source: int, target: int
              ) -> list[tuple[tuple[int, ...], float]]:
    """Paths (arcs in order) and their rates in kbit/s, the largest first. `arc_rates` is that of arcs
    which carry something; what enters a PoP leaves it again, source and target aside."""
    left = {arc: rate for arc, rate in arc_rates.items() if rate > NOISE_KBIT}
    _take_out_circles(graph, left)
    paths = []
    while (arcs := _widest_path(graph, left, source, target)) is not None:
        rate = min(left[arc] for arc in arcs)
        _subtract(left, arcs, rate)
        paths.append((arcs, rate))
    return sorted(paths, key=lambda path: (-path[1], path[0]))


def _subtract(left: dict[int, float], arcs: Sequence[int], rate: float) -> None:
    for arc in arcs:
        left[arc] -= rate
        if left[arc] <= NOISE_KBIT:
            del left[arc]


def _leaving(graph: Graph, left: dict[int, float]) -> dict[int, list[int]]:
    leaving: dict[int, list[int]] = {}
    for arc in sorted(left):
        leaving.setdefault(int(graph.tails[arc]), []).append(arc)
    return leaving


def _take_out_circles(graph: Graph, left: dict[int, float]) -> None:
    while (circle := _find_circle(graph, left)) is not None:
        _subtract(left, circle, min(left[arc] for arc in circle))


def _find_circle(graph: Graph, left: dict[int, float]) -> Optional[list[int]]:
    """Depth first; a PoP that is on the way already closes one."""
    leaving, done = _leaving(graph, left), set()
    for start in leaving:
        way: list[int] = []  # arcs
        position = {start: 0}  # of the PoPs on the way: how many arcs lead to them
        choices = [iter(leaving[start])] if start not in done else []
        at = start
        while choices:
            arc = next(choices[-1], None)
            if arc is None:
                done.add(at)
                del position[at]
                choices.pop()
                if way:
                    at = int(graph.tails[way.pop()])
                continue
            head = int(graph.heads[arc])
            if head in position:
                return [*way[position[head]:], arc]
            if head not in done:
                way.append(arc)
                position[head] = len(way)
                choices.append(iter(leaving.get(head, [])))
                at = head
    return None


def _widest_path(graph: Graph, left: dict[int, float], source: int, target: int
                 ) -> Optional[tuple[int, ...]]:
    """Without circles the PoPs have an order, in which the widest way to each is known."""
    leaving = _leaving(graph, left)
    width, by = {source: float("inf")}, {}
    for pop in _order(graph, leaving, source):
        for arc in leaving.get(pop, []):
            head, rate = int(graph.heads[arc]), min(width[pop], left[arc])
            if rate > width.get(head, 0):
                width[head], by[head] = rate, arc
    if target not in by:
        return None
    arcs = []
    at = target
    while at != source:
        arcs.append(by[at])
        at = int(graph.tails[by[at]])
    return tuple(reversed(arcs))


def _order(graph: Graph, leaving: dict[int, list[int]], source: int) -> list[int]:
    """The PoPs that can be reached, each after all from which arcs lead to it."""
    order: list[int] = []
    seen = {source}
    stack = [(source, iter(leaving.get(source, [])))]
    while stack:
        pop, arcs = stack[-1]
        arc = next(arcs, None)
        if arc is None:
            order.append(pop)
            stack.pop()
        elif (head := int(graph.heads[arc])) not in seen:
            seen.add(head)
            stack.append((head, iter(leaving.get(head, []))))
    return order[::-1]
